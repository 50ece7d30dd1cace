"""Lists and outputs that are no files on a disk, and what must not be lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from crawler.cli import main
from crawler.output import HEADER
from crawler.threads import AbandonableThreads
from tests.crawler.scripted import Server, polite, serving
from tests.crawler.test_cli import (
    LOOPS,
    ROOT,
    command,
    complaints,
    run_command,
    wait_for_finishing,
    wait_until,
    write_list,
)

PAGE = b'<a href="/link">'


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(lambda peer: polite(peer, PAGE)) as running:
        yield running


def start(
    *arguments: object, cwd: Path, stdin: int | IO[bytes] | None = None, stdout: int | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(server: Server, *paths: str) -> str:
    return HEADER + "".join(f"{server.url}{path}\t{server.url}/link\n" for path in paths)


# ---- signals while a file makes us wait ---------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_crawl_while_the_list_is_a_quiet_pipe(
    loop: str, tmp_path: Path, server: Server, number: int, code: int
) -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{server.url}/1\n".encode())
    process = start("-", "--loop", loop, cwd=tmp_path, stdin=reading)
    os.close(reading)
    try:
        found = tmp_path / "foundurls.txt"
        wait_until(lambda: found.exists() and "link" in found.read_text(), process)
        sent = time.monotonic()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
        assert time.monotonic() - sent < 5  # a second, on a machine that is not busy
    finally:
        os.close(writing)
    assert process.returncode == code
    assert complaints(stderr) == ""
    assert found.read_text() == lines(server, "/1")


@pytest.mark.parametrize("which", ["list", "output"])
def test_ctrl_c_ends_the_wait_for_the_other_end_of_a_named_pipe(
    loop: str, tmp_path: Path, which: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    urls = write_list(tmp_path, "http://127.0.0.1:9/")
    arguments = ["pipe"] if which == "list" else [urls, "-o", "pipe"]
    (tmp_path / "looked.py").write_text(
        "import asyncio, pathlib\n"
        "class Loop(asyncio.SelectorEventLoop):\n"
        "    def run_in_executor(self, executor, function, *args):\n"
        "        future = super().run_in_executor(executor, function, *args)\n"
        "        if 'pipe' in str(function):\n"
        "            pathlib.Path('opening').touch()\n"
        "        return future\n"
    )
    process = start(*arguments, "--loop", "looked:Loop", cwd=tmp_path)
    wait_until((tmp_path / "opening").exists, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, complaints(stderr)) == (130, "")


def test_ctrl_c_ends_the_crawl_while_nobody_reads_its_output(
    loop: str, tmp_path: Path, server: Server
) -> None:
    urls = write_list(tmp_path, *(f"{server.url}/{'x' * 500}{number}" for number in range(3000)))
    reading, writing = os.pipe()
    process = start(urls, "-o", "-", "--loop", loop, cwd=tmp_path, stdout=writing)
    os.close(writing)
    try:
        last = -1

        def stuck() -> bool:
            nonlocal last
            before, last = last, len(server.requests)
            time.sleep(0.3)
            return 0 < before == last

        wait_until(stuck, process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    finally:
        os.close(reading)
    assert (process.returncode, complaints(stderr)) == (130, "")


def test_a_second_ctrl_c_ends_the_crawl_while_a_name_server_is_silent(tmp_path: Path) -> None:
    (tmp_path / "deaf.py").write_text(
        "import asyncio, pathlib, time\n"
        "def look_up():\n"
        "    pathlib.Path('asked').touch()\n"
        "    time.sleep(60)\n"
        "class Loop(asyncio.SelectorEventLoop):\n"
        "    async def getaddrinfo(self, *args, **options):\n"
        "        await self.run_in_executor(None, look_up)\n"
    )
    write_list(tmp_path, "http://slow.test/")
    process = start("--loop", "deaf:Loop", cwd=tmp_path)
    wait_until((tmp_path / "asked").exists, process)
    process.send_signal(signal.SIGINT)
    wait_for_finishing(process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, complaints(stderr)) == (130, "")


# ---- where the links go -------------------------------------------------------------------------


def test_standard_input_and_output_are_a_dash(loop: str, tmp_path: Path, server: Server) -> None:
    done = run_command(
        "-", "-o", "-", "--loop", loop, cwd=tmp_path, input=f"{server.url}/1\n{server.url}/2\n"
    )
    assert (done.returncode, complaints(done.stderr)) == (0, "")
    assert sorted(done.stdout.splitlines()) == sorted(lines(server, "/1", "/2").splitlines())
    assert "pages      2\n" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "redirection"),
    [
        ("/dev/stdout", ""),
        ("/dev/fd/1", ""),
        ("-", ""),
        ("/dev/fd/3", "3>&1"),
        ("/proc/self/fd/3", "3>&1"),
        ("/dev/stderr", "2>&1"),
    ],
)
def test_what_the_shell_appends_to_is_not_truncated(
    tmp_path: Path, server: Server, output: str, redirection: str
) -> None:
    urls = write_list(tmp_path, f"{server.url}/1")
    kept = tmp_path / "kept"
    kept.write_text("kept\n")
    with kept.open("a") as file:
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *command(urls, "-qo", output)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=file,
            check=False,
            timeout=25,
        )
    assert done.returncode == 0
    assert kept.read_text() == "kept\n" + lines(server, "/1").removeprefix(HEADER)


def test_a_device_takes_the_links(loop: str, tmp_path: Path, server: Server) -> None:
    urls = write_list(tmp_path, f"{server.url}/1")
    done = run_command(urls, "-o", "/dev/null", "--loop", loop, cwd=tmp_path)
    assert (done.returncode, complaints(done.stderr)) == (0, "")


def test_named_pipes_are_opened_once(loop: str, tmp_path: Path, server: Server) -> None:
    """To look whether they can be opened would be the end of them for who is at the other end."""
    os.mkfifo(tmp_path / "list")
    os.mkfifo(tmp_path / "found")
    process = start("list", "-o", "found", "--loop", loop, cwd=tmp_path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "found").read_text()))
    reader.start()
    (tmp_path / "list").write_text(f"{server.url}/1\n")
    _, stderr = process.communicate(timeout=20)
    reader.join(20)
    assert (process.returncode, complaints(stderr)) == (0, "")
    assert read == [lines(server, "/1")]


def test_a_reader_that_has_enough_ends_the_crawl_without_a_word(
    loop: str, tmp_path: Path, server: Server
) -> None:
    urls = write_list(tmp_path, *(f"{server.url}/{number}" for number in range(2000)))
    process = start(urls, "-o", "-", "--loop", loop, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == HEADER
    process.stdout.close()
    assert process.stderr is not None
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait(20) == 128 + signal.SIGPIPE
    assert complaints(stderr) == ""


def test_messages_that_nobody_reads_do_not_stop_the_crawl(
    loop: str, tmp_path: Path, server: Server
) -> None:
    urls = write_list(tmp_path, *["nonsense"] * 100, f"{server.url}/1")
    process = start(urls, "-o", "found", "--loop", loop, cwd=tmp_path)
    assert process.stderr is not None
    process.stderr.close()
    assert process.stdout is not None
    assert process.stdout.read() == ""
    process.stdout.close()
    assert process.wait(20) == 1
    assert (tmp_path / "found").read_text() == lines(server, "/1")


def test_an_output_that_was_not_asked_for_by_name_takes_no_file_s_place(
    tmp_path: Path, server: Server
) -> None:
    write_list(tmp_path, f"{server.url}/1")
    (tmp_path / "foundurls.txt").write_text("older")
    (tmp_path / "foundurls.txt.1").write_text("oldest")
    done = run_command(cwd=tmp_path)
    assert complaints(done.stderr) == "crawler: the former foundurls.txt is foundurls.txt.2 now\n"
    assert (tmp_path / "foundurls.txt").read_text() == lines(server, "/1")
    assert (tmp_path / "foundurls.txt.1").read_text() == "oldest"
    assert (tmp_path / "foundurls.txt.2").read_text() == "older"
    run_command("-o", "foundurls.txt", cwd=tmp_path)
    assert not (tmp_path / "foundurls.txt.3").exists()


def test_links_can_be_added_to_a_file(tmp_path: Path, server: Server) -> None:
    for number in range(2):
        write_list(tmp_path, f"{server.url}/{number}")
        assert run_command("-o", "f", "--append", cwd=tmp_path).returncode == 0
    assert (tmp_path / "f").read_text() == lines(server, "/0", "/1")


def test_the_list_is_not_overwritten_through_standard_output(
    tmp_path: Path, server: Server
) -> None:
    urls = write_list(tmp_path, f"{server.url}/1")
    before = urls.read_text()
    with urls.open("a") as file:
        done = subprocess.run(
            command(urls, "-o", "-"),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=25,
        )
    assert done.returncode == 2
    assert "the output - is the list of URLs itself" in done.stderr
    assert urls.read_text() == before


def test_the_summary_can_go_to_standard_output(tmp_path: Path, server: Server) -> None:
    urls = write_list(tmp_path, f"{server.url}/1")
    done = run_command(urls, "--summary", "-", cwd=tmp_path)
    assert json.loads(done.stdout)["pages"] == 1


def test_a_summary_that_cannot_be_written_is_3_and_no_traceback(
    tmp_path: Path, server: Server
) -> None:
    urls = write_list(tmp_path, f"{server.url}/1")
    done = run_command(urls, "--summary", "/dev/full", cwd=tmp_path)
    assert done.returncode == 3
    assert "cannot write the summary /dev/full: No space left" in done.stderr
    assert "Traceback" not in done.stderr


# ---- threads ------------------------------------------------------------------------------------


def test_abandonable_threads_do_what_they_are_given_and_are_not_waited_for() -> None:
    threads = AbandonableThreads(3)
    stuck = threading.Event()
    held = [threads.submit(stuck.wait) for _ in range(3)]
    late = threads.submit(str, 5)
    assert not late.done()
    threads.shutdown(wait=True)
    assert not any(future.done() for future in held)
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(str)
    stuck.set()
    assert late.result(25) == "5"


def test_abandonable_threads_pass_errors_on_and_start_no_more_than_they_need() -> None:
    threads = AbandonableThreads(50)
    before = threading.active_count()
    for _ in range(20):
        with pytest.raises(ValueError, match="invalid literal"):
            threads.submit(int, "x").result(25)
    assert threading.active_count() - before <= 2
    threads.shutdown()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o x.db --state x.db", "the output and the state are the same file, x.db"),
        ("-o x --report ./x", "the output and the report are the same file, x"),
        ("--summary x --report x", "the summary and the report are the same file, x"),
        ("--state foundurls.txt", "the output and the state are the same file, foundurls.txt"),
    ],
)
def test_two_things_are_not_written_to_one_file(
    tmp_path: Path,
    arguments: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["http://127.0.0.1:9/", *arguments.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
