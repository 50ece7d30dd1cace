"""Whole programs that know nothing of miniloop, run as they are by ``python -m miniloop``.

Each runs under plain ``python`` too and must do the same there. It says what loop it ran on, so
that a program which quietly stayed on asyncio does not pass for one that works on miniloop.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ecosystem.web_peer import PAGES, WebServer, fetch

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
LAUNCHERS = {"miniloop": ["-m", "miniloop"], "asyncio": []}
RUNNING_ON = re.compile(r"running on http://127.0.0.1:(\d+)")
PATIENCE = 20.0  # seconds that a program may take


@pytest.fixture(params=LAUNCHERS)
def loop_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def command(loop_name: str, program: str, *arguments: str) -> list[str]:
    script = str(PROGRAMS / program)
    # An unclosed transport then shows on standard error.
    return [
        sys.executable,
        "-W",
        "default::ResourceWarning",
        *LAUNCHERS[loop_name],
        script,
        *arguments,
    ]


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def lines_of(loop_name: str, program: str, *arguments: str) -> list[str]:
    """What a program printed, less its last line, which must name the loop that it should."""
    done = subprocess.run(
        command(loop_name, program, *arguments),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *lines, ran_on = done.stdout.splitlines()
    assert ran_on.partition(".")[0] == loop_name
    return lines


def test_the_aiohttp_and_aiofiles_crawler_finds_every_link(
    loop_name: str, web: WebServer, tmp_path: Path
) -> None:
    urls, found = tmp_path / "urls.txt", tmp_path / "foundurls.txt"
    pages = [f"{web.url}/page/{number}" for number in range(PAGES)]
    urls.write_text("\n".join([*pages, f"{web.url}/missing"]), encoding="utf-8")

    printed = lines_of(loop_name, "crawl.py", str(urls), str(found))

    assert printed == [f"{web.url}/missing: ClientResponseError"]
    header, *lines = found.read_text(encoding="utf-8").splitlines()
    assert header == "source_url\tparsed_url"
    expected = {
        f"{page}\t{link}"
        for number, page in enumerate(pages)
        for link in (
            pages[(number + 1) % PAGES],
            pages[(number + 2) % PAGES],
            "http://example.invalid/",
        )
    }
    assert len(lines) == len(expected)
    assert set(lines) == expected


def test_a_program_with_httpx_runs(loop_name: str, web: WebServer) -> None:
    assert lines_of(loop_name, "fetch_httpx.py", f"{web.url}/hello") == ["hello"]


def test_a_program_with_anyio_runs(loop_name: str) -> None:
    assert lines_of(loop_name, "echo_anyio.py", "word") == ["word", "a child"]


def test_a_program_with_websockets_runs(loop_name: str) -> None:
    assert lines_of(loop_name, "chat_websockets.py", "hello") == ["HELLO"]


def test_a_program_with_aiosqlite_runs(loop_name: str, tmp_path: Path) -> None:
    assert lines_of(loop_name, "count_rows.py", str(tmp_path / "numbers.db")) == ["10"]


def test_a_program_with_redis_runs(loop_name: str, redis_url: str) -> None:
    assert lines_of(loop_name, "count_redis.py", redis_url) == ["10"]


def test_a_program_with_asyncpg_runs(loop_name: str, postgresql_url: str) -> None:
    assert lines_of(loop_name, "sum_postgresql.py", postgresql_url) == ["6 10"]


@pytest.mark.parametrize("program", ["serve_aiohttp.py", "serve_tornado.py", "serve_uvicorn.py"])
def test_a_server_program_answers_and_leaves_on_a_signal(loop_name: str, program: str) -> None:
    with started(command(loop_name, program)) as process:
        assert process.stdout is not None
        try:
            answer = fetch(int(process.stdout.readline()), "/")
            process.send_signal(signal.SIGTERM)
            _, complaints = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert answer.body.decode().partition(".")[0] == loop_name
    # uvicorn raises the signal again when it has finished, as a well-behaved program does.
    assert process.returncode in {0, -signal.SIGTERM}
    assert complaints == ""


def test_uvicorns_own_command_takes_miniloop_for_its_loop() -> None:
    application = "tests.ecosystem.programs.serve_uvicorn:application"
    options = ["--loop", "miniloop:new_event_loop", "--lifespan", "off", "--port", "0"]
    with started([sys.executable, "-m", "uvicorn", application, *options]) as process:
        assert process.stderr is not None
        try:
            address = next(found for line in process.stderr if (found := RUNNING_ON.search(line)))
            answer = fetch(int(address[1]), "/")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert answer.body == b"miniloop.loop"


def started(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
