"""``crawler fetch URL``: one page, printed."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from crawler.demo.site import Addresses
from tests.crawler.scripted import pages, serving
from tests.crawler.test_cli import command, run_command


def test_a_page_is_printed_as_it_is_without_its_compression(tmp_path: Path) -> None:
    body = b"\xff\x00" + b"x" * 200_000
    packed = gzip.compress(body)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    with serving(pages({"/": head.encode() + packed})) as server:
        done = subprocess.run(command("fetch", server.url), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == body


@pytest.mark.parametrize("loop", ["miniloop", "asyncio"])
def test_the_head_and_the_timings_are_shown_when_asked_for(
    tmp_path: Path, at: Addresses, loop: str
) -> None:
    done = run_command(
        *("fetch", f"{at.https}/moved/301", "-i", "--timings", "--ca-file", at.ca_file),
        *("--loop", loop),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK\nContent-Type: text/html; charset=utf-8\n")
    assert body == '<a href="found">found</a> <a href="/page/1">page 1</a>'
    steps = [line.split()[0] for line in done.stderr.splitlines()]
    assert {"connect_tcp", "start_tls", "send_request", "receive_head", "redirect"} <= set(steps)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["http://no-such-host.invalid/"], 1, "cannot resolve"),
        (["ftp://a/"], 2, "the scheme must be http or https"),
        (["a.example"], 2, "did you mean http://a.example or https://"),
        (["http://a/", "--loop", "none"], 2, "error:"),
        (["http://a/", "--ca-file", "nothing"], 2, "cannot read certificates"),
        (["http://a/", "--user-agent", "Ü"], 2, "must be printable ASCII"),
        (["http://a/", "--timeout", "nan"], 2, "must be a number of seconds above 0"),
        (["http://a/", "--proxy", "ftp://a"], 2, "the scheme of a proxy must be"),
        (["http://a/", "--proxy", "socks5://127.0.0.1:1"], 1, "could not connect to proxy"),
        (["http://no-such-host.invalid/", "-k"], 1, "warning: the certificate is not verified"),
        ([], 2, "the following arguments are required: url"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = run_command("fetch", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert message.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_quiet_is_quiet(tmp_path: Path, at: Addresses) -> None:
    done = run_command(f"{at.http}/page/0", f"{at.http}/missing", "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_closed_standard_output_is_told(at: Addresses) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command("fetch", f"{at.http}/page/1")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr == "crawler fetch: cannot write the page: standard output is closed\n"
