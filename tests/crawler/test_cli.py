"""The command as a user meets it: exit codes, output, signals, a terminal and a pipe."""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import pty
import re
import resource
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crawler.__main__
from crawler.cli import main
from crawler.demo.site import Addresses, Site
from tests.crawler.scripted import Peer, pages, serving
from tests.crawler.test_crawl import links_in

ROOT = Path(__file__).parents[2]
LOOPS = ("miniloop", "asyncio")


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "crawler", *map(str, arguments)]


def run_command(*arguments: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
        **options,
    )


def write_list(directory: Path, *lines: str) -> Path:
    path = directory / "urls.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


# What the first Ctrl-C is answered with.
FINISHING = "finishing the pages in work; Ctrl-C once more stops at once\n"


# How far the crawl has come. It is said every few seconds: on a busy machine before anything else.
PROGRESS = re.compile(r"^[\d,]+(?: of [\d,]+)? done, .*\n", re.MULTILINE)


def complaints(stderr: str) -> str:
    """What the command said before it summed up, without how far it had come meanwhile."""
    said = re.split(r"^(?:interrupted: |pages  )", stderr, maxsplit=1, flags=re.MULTILINE)[0]
    return PROGRESS.sub("", said).removeprefix(FINISHING)


def wait_for_finishing(process: subprocess.Popen[str]) -> None:
    """Wait until the command says that it has heard a Ctrl-C; it may say first how far it is."""
    assert process.stderr is not None
    line = process.stderr.readline()
    while PROGRESS.match(line):
        line = process.stderr.readline()
    assert line == FINISHING


# ---- exit codes ------------------------------------------------------------------------------


def test_all_fetched_is_0_and_the_usual_files_are_in_this_directory(
    loop: str, tmp_path: Path, at: Addresses
) -> None:
    write_list(tmp_path, f"{at.http}/page/0", "", "# comment", f"{at.http}/goal/")
    done = run_command("--loop", loop, cwd=tmp_path)
    assert (done.returncode, complaints(done.stderr)) == (0, "")
    assert "pages      2\n" in done.stderr
    assert "failures   0\n" in done.stderr
    assert re.search(r"^time       \d+\.\d\d s, [\d,.]+ pages/s$", done.stderr, re.MULTILINE)
    found = links_in(tmp_path / "foundurls.txt")
    assert {source for source, _ in found} == {f"{at.http}/page/0", f"{at.http}/goal/"}


def test_some_failed_is_1_and_each_is_named_with_its_reason(
    loop: str, tmp_path: Path, at: Addresses
) -> None:
    urls = write_list(tmp_path, f"{at.http}/page/0", f"{at.http}/missing", f"{at.nobody}/")
    done = run_command(urls, "--loop", loop, cwd=tmp_path)
    assert done.returncode == 1
    assert f"FAILED {at.http}/missing: status: 404 Not Found\n" in done.stderr
    assert f"FAILED {at.nobody}/: refused: cannot connect to 127.0.0.1 port" in done.stderr
    assert "failures   2\n" in done.stderr
    assert re.search(r"^  status +1$", done.stderr, re.MULTILINE)
    assert re.search(r"^  refused +1$", done.stderr, re.MULTILINE)


def test_a_malformed_line_is_1_as_well_and_named_by_its_number(
    tmp_path: Path, at: Addresses
) -> None:
    urls = write_list(tmp_path, f"{at.http}/page/0", "example.com/page")
    done = run_command(urls, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{urls}:2: not a URL: 'example.com/page': not an absolute URL")
    assert "did you mean http://example.com/page" in done.stderr
    assert "pages      1\n" in done.stderr
    assert "malformed  1 lines" in done.stderr


def with_open_files(soft: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_low_limit_of_open_files_is_raised_as_far_as_it_is_needed(
    tmp_path: Path, at: Addresses
) -> None:
    urls = write_list(tmp_path, *(f"{at.http}/page/{number}" for number in range(0, 144, 3)))
    done = run_command(
        urls, "--concurrency", "48", cwd=tmp_path, preexec_fn=with_open_files(32, 256)
    )
    assert (done.returncode, complaints(done.stderr)) == (0, "")


def test_more_pages_at_a_time_than_open_files_are_allowed_is_2(tmp_path: Path) -> None:
    write_list(tmp_path, "http://127.0.0.1:9/")
    done = run_command("--concurrency", "200", cwd=tmp_path, preexec_fn=with_open_files(100, 256))
    assert done.returncode == 2
    assert "--concurrency may be 192 at most, as this system allows a process 256" in done.stderr


def exit_code(arguments: list[str]) -> object:
    try:
        return main(arguments)
    except SystemExit as stop:
        return stop.code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-file"], "cannot read the list of URLs no-such-file: No such file or directory"),
        (["."], "cannot read the list of URLs .: Is a directory"),
        (["urls.txt", "-o", "no/such/directory"], "cannot write no/such/directory: No such file"),
        (["urls.txt", "-o", "urls.txt"], "the output urls.txt is the list of URLs itself"),
        (["--loop", "fastest"], "must be one of miniloop, asyncio, uvloop or module:factory"),
        (["--loop", "no_such_module:loop"], "cannot import no_such_module"),
        (["--loop", "asyncio:no_such_name"], "the module asyncio has no no_such_name"),
        (["--loop", "asyncio:__name__"], "asyncio:__name__ is not a function that makes a loop"),
        (["--loop", "os:getpid"], "os:getpid must make an event loop, and made "),
        (["--loop", "os:stat"], "os:stat made no loop: TypeError: "),
        (["--concurrency", "0"], "must be a whole number from 1, got '0'"),
        (["--concurrency", "many"], "must be a whole number from 1, got 'many'"),
        (["--per-host", "-1"], "must be a whole number from 1, got '-1'"),
        (["--timeout", "0"], "must be a number of seconds above 0, got '0'"),
        (["--timeout", "nan"], "must be a number of seconds above 0, got 'nan'"),
        (["--timeout", "inf"], "must be a number of seconds above 0, got 'inf'"),
        (["--max-size", "1.5"], "must be a whole number from 1, got '1.5'"),
        (["--ca-file", "no-such-file"], "cannot read certificates from no-such-file"),
        (["--ca-file", "urls.txt"], "cannot read certificates from urls.txt"),
        (["--cert", "no-such-file"], "cannot use the client certificate no-such-file"),
        (["--key", "urls.txt"], "--key needs the --cert that it is the key of"),
        (["--proxy", "ftp://h"], "the scheme of a proxy must be http, https or socks5, got 'ftp'"),
        (["--user-agent", "a\r\nb"], "must be printable ASCII"),
        (["--retries", "-1"], "must be a whole number from 0, got '-1'"),
        (["--summary", "no/such/directory"], "cannot write no/such/directory: No such file"),
        (["--summary", "urls.txt"], "the summary urls.txt is the list of URLs itself"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["a", "b"], "name either one list or URLs only"),
    ],
)
def test_bad_usage_is_2_and_says_what_is_wrong(
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_list(tmp_path, "http://127.0.0.1:9/")
    monkeypatch.chdir(tmp_path)
    assert exit_code(arguments) == 2
    assert message in capsys.readouterr().err
    before_files = arguments[0] in ("--loop", "--summary")
    assert not (tmp_path / "foundurls.txt").exists() or before_files


@pytest.mark.parametrize(
    ("name", "holds", "message"),
    [
        ("a.db", b"no database", "cannot add to a.db: it is no SQLite database"),
        ("b.db", "create table pages (a)", "cannot add to b.db: it is a database of something"),
        ("c.warc.gz", b"no archive", "c.warc.gz is no WARC archive"),
    ],
)
def test_what_cannot_be_added_to_is_told_before_anything_is_done(
    tmp_path: Path,
    name: str,
    holds: bytes | str,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(holds, bytes):
        Path(name).write_bytes(holds)
    else:
        with contextlib.closing(sqlite3.connect(name)) as database:
            database.execute(holds)
    before = Path(name).read_bytes()
    for way in (["--append"], ["--state", "state"]):
        assert exit_code(["http://127.0.0.1:9/", "-o", name, *way]) == 2
        assert message in capsys.readouterr().err
    assert Path(name).read_bytes() == before


def test_ctrl_c_before_the_crawl_has_begun_is_130_and_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("crawler.cli.main", interrupted)
    assert crawler.__main__.main() == 130
    # Imports take the longest, and must not be done before it is ready for this.
    code = "import sys, crawler.__main__; sys.exit('crawler.cli' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )


def test_an_empty_list_is_0(loop: str, tmp_path: Path) -> None:
    done = run_command(write_list(tmp_path, "# nothing"), "--loop", loop, cwd=tmp_path)
    assert (done.returncode, complaints(done.stderr)) == (0, "")
    assert links_in(tmp_path / "foundurls.txt") == []


def test_a_disk_that_is_full_is_3_and_says_so(tmp_path: Path, at: Addresses) -> None:
    urls = write_list(tmp_path, f"{at.http}/page/0")
    done = run_command(urls, "-o", "/dev/full", cwd=tmp_path)
    assert done.returncode == 3
    text = "cannot write /dev/full: No space left on device\ncrawler: make room, and begin again\n"
    assert f"the crawl cannot go on: {text}" in done.stderr
    assert "Traceback" not in done.stderr


# ---- options ---------------------------------------------------------------------------------


def test_help_names_every_option(tmp_path: Path) -> None:
    done = run_command("--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in (
        "--output",
        "--loop",
        "--concurrency",
        "--per-host",
        "--timeout",
        "--max-size",
        "--ca-file",
        "--summary",
        "--append",
        "--cert",
        "--insecure",
        "--proxy",
        "--retries",
        "--cookies",
        "--user-agent",
    ):
        assert option in done.stdout


def test_the_ca_file_is_trusted_besides_the_system(tmp_path: Path, at: Addresses) -> None:
    urls = write_list(tmp_path, f"{at.https}/page/1")
    assert run_command(urls, cwd=tmp_path).returncode == 1
    assert run_command(urls, "--ca-file", at.ca_file, cwd=tmp_path).returncode == 0


def test_any_certificate_will_do_if_one_says_so_and_is_warned(
    tmp_path: Path, at: Addresses
) -> None:
    urls = write_list(tmp_path, f"{at.https}/page/1")
    done = run_command(urls, "-k", cwd=tmp_path)
    assert done.returncode == 0
    warning = "crawler: warning: certificates are not verified (--insecure)\n"
    assert complaints(done.stderr) == warning


def test_a_crawl_keeps_cookies_repeats_and_names_itself_if_one_says_so(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        while head := peer.request():
            if b"Cookie: seen=1" not in head:
                peer.reply(b"", "Location: /", "Set-Cookie: seen=1", status="302 Found")
            elif len(peer.server.requests) < 3:
                peer.reply(b"", status="503 Busy")
            else:
                peer.reply(b"<a href=x>")

    with serving(script) as server:
        urls = write_list(tmp_path, f"{server.url}/")
        options = ("--cookies", "--retries", "2", "--user-agent", "tester/1 (+http://t.test)")
        assert run_command(urls, *options, cwd=tmp_path).returncode == 0
        assert run_command(urls, "-o", "f", cwd=tmp_path).returncode == 1
    assert len(server.requests) == 4
    assert b"\r\nUser-Agent: tester/1 (+http://t.test)\r\n" in server.requests[0]


def test_a_crawl_goes_through_a_proxy(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.reply(b"<a href=x>")

    with serving(script) as proxy:
        urls = write_list(tmp_path, "http://nowhere.test/")
        assert run_command(urls, "--proxy", proxy.url, cwd=tmp_path).returncode == 0
    assert proxy.requests[0].startswith(b"GET http://nowhere.test/ HTTP/1.1\r\n")
    assert links_in(tmp_path / "foundurls.txt") == [
        ("http://nowhere.test/", "http://nowhere.test/x")
    ]


def test_the_timeout_ends_a_page_that_never_comes(loop: str, tmp_path: Path, at: Addresses) -> None:
    urls = write_list(tmp_path, f"{at.http}/silent", f"{at.http}/drip")
    started = time.monotonic()
    done = run_command(urls, "--timeout", "0.5", "--loop", loop, cwd=tmp_path)
    assert time.monotonic() - started < 10
    assert done.returncode == 1
    assert re.search(r"^  timeout +2$", done.stderr, re.MULTILINE)


def test_the_largest_page_can_be_chosen(tmp_path: Path, at: Addresses) -> None:
    urls = write_list(tmp_path, f"{at.http}/page/0")
    done = run_command(urls, "--max-size", "100", cwd=tmp_path)
    assert "too large: the body has" in done.stderr


def test_the_limit_per_host_holds(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.reply(b"<a href=x>")

    with serving(script) as server:
        urls = write_list(tmp_path, *(f"{server.url}/{number}" for number in range(30)))
        assert run_command(urls, "--per-host", "2", cwd=tmp_path).returncode == 0
    assert (server.connections, len(server.requests)) == (2, 30)


def test_the_summary_is_written_as_json_as_well(tmp_path: Path, at: Addresses) -> None:
    urls = write_list(tmp_path, f"{at.http}/page/0", f"{at.http}/missing", "nonsense")
    run_command(urls, "--summary", "summary.json", cwd=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary.pop("seconds") > 0
    assert summary.pop("received") > 1000
    assert summary.pop("links") == len(links_in(tmp_path / "foundurls.txt"))
    assert summary == {
        "pages": 1,
        "malformed": 1,
        "redirected": 0,
        "disallowed": 0,
        "failures": {"status": 1},
        "interrupted": False,
    }


def test_any_loop_can_be_named_by_module_and_factory(tmp_path: Path, at: Addresses) -> None:
    (tmp_path / "my_loop.py").write_text(
        "import asyncio\n"
        "def make():\n"
        "    print('made by me')\n"
        "    return asyncio.SelectorEventLoop()\n"
    )
    urls = write_list(tmp_path, f"{at.http}/page/0")
    done = run_command(urls, "--loop", "my_loop:make", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == "made by me\n"


# ---- signals ---------------------------------------------------------------------------------


def start_long_crawl(
    tmp_path: Path, at: Addresses, *arguments: object, repeat: int = 200
) -> subprocess.Popen[str]:
    """A crawl that takes longer than any test waits for, and has begun."""
    urls = [f"{at.http}/page/{number}" for number in range(144)] * repeat
    path = write_list(tmp_path, *urls)
    process = subprocess.Popen(
        command(path, "--ca-file", at.ca_file, "--concurrency", 20, *arguments),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: size(tmp_path / "foundurls.txt") > 1000, process)
    return process


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"the crawl ended or did nothing: {process.communicate()}")
        time.sleep(0.005)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_crawl_finishes_its_file_and_says_what_it_did(
    loop: str, tmp_path: Path, at: Addresses, site: Site, number: int, code: int
) -> None:
    process = start_long_crawl(tmp_path, at, "--loop", loop, "--summary", "summary.json")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == code
    assert stdout == ""
    assert "interrupted: " in stderr
    said = PROGRESS.sub("", stderr)
    assert said.startswith(FINISHING if number == signal.SIGINT else "interrupted: ")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["interrupted"] is True
    assert f"pages      {summary['pages']:,}\n" in stderr
    found = links_in(tmp_path / "foundurls.txt")
    assert len(found) == summary["links"]
    assert set(found) <= site.ordinary(at).links | every_page_over_http(site, at)


def every_page_over_http(site: Site, at: Addresses) -> set[tuple[str, str]]:
    return {
        (at.http + page.path, link)
        for page in map(site.page, range(site.pages))
        for link in page.expected(at.http)
    }


def test_a_second_ctrl_c_does_not_wait_for_pages_that_hang(
    loop: str, tmp_path: Path, at: Addresses
) -> None:
    urls = write_list(tmp_path, f"{at.http}/page/0", *[f"{at.http}/silent"] * 50)
    process = subprocess.Popen(
        command(urls, "--loop", loop),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: size(tmp_path / "foundurls.txt") > 100, process)
    process.send_signal(signal.SIGINT)
    wait_for_finishing(process)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert (process.returncode, stdout) == (130, "")
    assert complaints(stderr) == ""
    assert "pages      1\n" in stderr


@pytest.mark.timeout(120)
def test_a_killed_crawl_leaves_whole_lines(
    loop: str, tmp_path: Path, at: Addresses, site: Site
) -> None:
    known = every_page_over_http(site, at)
    written = 0
    for attempt in range(6):
        (tmp_path / "foundurls.txt").unlink(missing_ok=True)
        process = start_long_crawl(tmp_path, at, "--loop", loop)
        time.sleep(attempt * 0.026)  # another moment each time
        process.kill()
        process.communicate(timeout=20)
        assert process.returncode == -signal.SIGKILL
        data = (tmp_path / "foundurls.txt").read_bytes()
        if not data.endswith(b"\n"):
            # The kill came in the middle of a write: see crawler/output.py.
            assert len(data) % mmap.PAGESIZE == 0
            (tmp_path / "foundurls.txt").write_bytes(data[: data.rindex(b"\n") + 1])
        found = links_in(tmp_path / "foundurls.txt")
        assert set(found) <= known
        written += len(found)
    assert written > 500


# ---- what it looks like ----------------------------------------------------------------------


def on_a_terminal(arguments: list[str], cwd: Path) -> tuple[int, str]:
    """Run the command on a terminal of its own; the exit code and all that appeared there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
    process = subprocess.Popen(
        arguments,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 25)[0]:
        try:
            data = os.read(ours, 65536)
        except OSError:  # what Linux says when the last process has left a terminal
            break
        if not data:
            break
        seen += data
    os.close(ours)
    return process.wait(timeout=25), seen.decode()


def test_a_terminal_shows_a_live_view_with_the_failures_above_it(
    loop: str, tmp_path: Path, at: Addresses
) -> None:
    pages = [f"{at.http}/page/{number}" for number in range(144)] * 5
    urls = write_list(tmp_path, *pages, f"{at.http}/missing")
    code, seen = on_a_terminal(command(urls, "--loop", loop), tmp_path)
    assert code == 1
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", seen)
    counts = [int(count) for count in re.findall(r"(\d+) of 721, ", text)]
    assert len(counts) >= 2
    assert counts == sorted(counts)
    assert counts[-1] == 721
    assert "pages/s" in text
    assert re.search(r"\d+ in flight, \d+ queued, .*/s, loop lag \d+ ms", text)
    assert "1: status 1" in text
    assert f"FAILED {at.http}/missing: status: 404 Not Found\r\n" in text
    assert "pages      720\r\n" in text


def test_a_pipe_gets_plain_lines(tmp_path: Path, at: Addresses) -> None:
    urls = write_list(tmp_path, *(f"{at.http}/page/{number}" for number in range(50)))
    done = run_command(urls, cwd=tmp_path)
    assert done.stdout == ""
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_verbose_says_a_line_about_each_page(tmp_path: Path, at: Addresses) -> None:
    urls = write_list(tmp_path, *(f"{at.http}/page/{number}" for number in range(3)))
    done = run_command(urls, "-v", cwd=tmp_path)
    lines = re.findall(
        r"^(\S+) 200 \d+\.\d+ s, [\d,]+ bytes, \d+ links$", done.stderr, re.MULTILINE
    )
    assert sorted(lines) == [f"{at.http}/page/{number}" for number in range(3)]


def test_the_list_can_come_from_a_pipe(loop: str, tmp_path: Path, at: Addresses) -> None:
    lines = "".join(f"{at.http}/page/{number}\n" for number in range(20))
    done = run_command("/dev/stdin", "--loop", loop, cwd=tmp_path, input=lines)
    assert (done.returncode, complaints(done.stderr)) == (0, "")
    assert len({source for source, _ in links_in(tmp_path / "foundurls.txt")}) == 20


# ---- following ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["miniloop", "asyncio", "uvloop"])
def test_a_page_named_on_the_command_line_is_followed_alike_on_every_loop(
    tmp_path: Path, site: Site, at: Addresses, name: str
) -> None:
    if name == "uvloop":
        pytest.importorskip("uvloop")
    expected = site.within(at, 2)
    done = run_command(
        *(f"{at.http}/page/0", "--depth", "2", "--allow", f"^{at.http}/", "-o", "pages.jsonl"),
        *("--loop", name),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    lines = (tmp_path / "pages.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    links = {(record["url"], link) for record in records for link in record["links"]}
    assert links == expected.links
    assert len(records) == len({record["url"] for record in records})
    assert len(records) == expected.pages + expected.failures.total() + expected.disallowed


def test_one_page_needs_no_list(tmp_path: Path, at: Addresses) -> None:
    done = run_command(f"{at.http}/page/0", "-o", "-", cwd=tmp_path)
    assert done.returncode == 0
    assert f"{at.http}/page/0\t{at.http}/page/1\n" in done.stdout


def test_the_kinds_of_links_can_be_chosen(tmp_path: Path) -> None:
    with serving(pages({"/": b"<a href=/a><img src=/i><iframe src=/f>"})) as server:
        run_command(server.url, "--links", "src, IFRAME", cwd=tmp_path)
        found = [link for _, link in links_in(tmp_path / "foundurls.txt")]
        assert found == [f"{server.url}/i", f"{server.url}/f"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--links", "b"], "links must be of a, area,"),
        (["--links", ","], "name at least one kind of links"),
        (["--allow", "("], "no regular expression: '('"),
        (["--deny", "a{9999999999}"], "the repetition number is too large"),
        (["--depth", "-1"], "must be a whole number from 0, got '-1'"),
        (["--depth", "9" * 16], "must have at most 15 digits, got 16"),
        (["--max-pages", "9" * 5000], "must have at most 15 digits, got 5000"),
        (["--delay", "-1"], "must be a number of seconds above 0, got '-1'"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--resume"], "--resume needs the --state to go on with"),
        (["--state", "s.db", "--append"], "--append and --state do not go together"),
        (["--state", "s.db", "-o", "-"], "with --state the output must be a file, not -"),
        (["--state", "no/such/directory"], "cannot use no/such/directory as a state"),
        (["--state", "urls.txt"], "urls.txt is there already: if it holds a crawl"),
        (["example.com"], "if it is a page, write https://example.com"),
        (["http://a/", "urls.txt"], "name either one list or URLs only; 'urls.txt'"),
    ],
)
def test_what_does_not_go_together_is_told(
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_list(tmp_path, "http://127.0.0.1:9/")
    monkeypatch.chdir(tmp_path)
    assert exit_code(arguments) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "urls.txt").read_text() == "http://127.0.0.1:9/\n"
