"""docs/recipes.md, run as it is printed: each command, with the files beside it, on a free port."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ecosystem.web_peer import fetch

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
PATIENCE = 90.0  # seconds, for a server with workers on a machine that has other things to do
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What a section needs, by the names under which it is imported.
NEEDS = {
    "uvicorn": ["uvicorn"],
    "gunicorn": ["gunicorn", "uvicorn_worker"],
    "hypercorn": ["hypercorn"],
    "granian": ["granian"],
    "aiohttp": ["aiohttp"],
    "Django": ["django", "uvicorn"],
    "pytest-asyncio": ["pytest_asyncio"],
    "anyio's pytest plugin": ["anyio"],
    "unittest": [],
    "IPython": ["IPython"],
    "Jupyter": ["ipykernel", "jupyter_client"],
    "nest_asyncio": ["nest_asyncio"],
}
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def commands(section: str) -> list[str]:
    return [text.strip() for kind, text in BLOCK.findall(SECTIONS[section]) if kind == "sh"]


SERVERS = [
    (section, command)
    for section in NEEDS
    for command in commands(section)
    if section in ("uvicorn", "gunicorn", "hypercorn", "granian", "aiohttp", "Django")
]
PROGRAMS = [
    (section, command)
    for section in NEEDS
    for command in commands(section)
    if section in ("pytest-asyncio", "anyio's pytest plugin", "unittest", "IPython", "nest_asyncio")
]


def need(section: str) -> None:
    for name in NEEDS[section]:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed; it may have no wheel for this Python")


def write_files(folder: Path, port: int) -> None:
    """Write each block that begins with the name of a file."""
    for _, text in BLOCK.findall(PAGE):
        if name := re.match(r"# (\w+\.py)\n", text):
            (folder / name[1]).write_text(text.replace("8000", str(port)), encoding="utf-8")


def words_of(command: str, port: int) -> list[str]:
    words = shlex.split(command.replace("8000", str(port)))
    assert words[0] == "python"
    return [sys.executable, *words[1:]]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def free_port() -> int:
    """A port on which nobody listens, and that no connection is given before the server has it.

    Outgoing connections get theirs from 32768 on.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@contextmanager
def serving(words: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a process group of its own, and end it and whatever it has started."""
    with (
        (folder / "said.txt").open("wb") as said,
        subprocess.Popen(
            words,
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(10 if "gran" in str(words) else PATIENCE)
        except subprocess.TimeoutExpired:
            # granian 2.8 never ends, on any loop, if it is told to while a worker starts.
            assert "gran" in str(words)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def answer(process: subprocess.Popen[bytes], port: int, folder: Path) -> str:
    """What the server says, once it does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return fetch(port, "/").body.decode()
        except OSError:
            time.sleep(0.05)  # it has no other way to tell all of us that it listens
    pytest.fail(f"no answer from {process.args!r}:\n{(folder / 'said.txt').read_text()}")


def await_line(folder: Path, text: str, times: int) -> None:
    """Return once the server has said it so often."""
    deadline = time.monotonic() + PATIENCE
    while (folder / "said.txt").read_text().count(text) < times:
        assert time.monotonic() < deadline, (folder / "said.txt").read_text()
        time.sleep(0.05)


def test_every_command_on_the_page_is_run_here() -> None:
    assert SECTIONS.keys() - NEEDS.keys() == {"What `python -m miniloop` does"}
    assert len(SERVERS) + len(PROGRAMS) + 1 == sum(kind == "sh" for kind, _ in BLOCK.findall(PAGE))


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("section", "command"), SERVERS, ids=[command for _, command in SERVERS])
def test_a_server_answers_from_a_miniloop(section: str, command: str, tmp_path: Path) -> None:
    need(section)
    port = free_port()
    write_files(tmp_path, port)
    with serving(words_of(command, port), tmp_path) as process:
        assert {answer(process, port, tmp_path) for _ in range(5)} == {"miniloop"}


@pytest.mark.timeout(200)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["", "workers"])
def test_uvicorn_answers_from_a_miniloop_whatever_loop_it_is_told(
    loop: str, more: list[str], tmp_path: Path
) -> None:
    need("uvicorn")
    pytest.importorskip("uvloop" if loop == "uvloop" else "uvicorn")
    port = free_port()
    write_files(tmp_path, port)
    words = ["-m", "miniloop", "-v", "-m", "uvicorn", "app:app", "--loop", loop, *more]
    words += ["--port", str(port)]
    processes = 2 if more else 1
    with serving([sys.executable, *words], tmp_path) as process:
        assert answer(process, port, tmp_path) == "miniloop"
        await_line(tmp_path, "Started server process", processes)
    said = [
        line.removeprefix("python -m miniloop: ")
        for line in (tmp_path / "said.txt").read_text().splitlines()
        if line.startswith("python -m miniloop: ")
    ]
    asked = "the program asks for uvloop; it gets a miniloop"
    assert said.count(asked) == (processes if loop == "uvloop" else 0)
    named = r"process \d+ ran 1 loop of miniloop.EventLoop( \(compiled\))?"
    ran = [line for line in said if re.fullmatch(named, line)]
    assert len(ran) == processes


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("section", "command"), PROGRAMS, ids=[command for _, command in PROGRAMS])
def test_a_program_runs_on_a_miniloop(section: str, command: str, tmp_path: Path) -> None:
    need(section)
    if section == "unittest" and sys.version_info < (3, 13):
        command = command.replace("-m unittest", "-m miniloop -m unittest")
    write_files(tmp_path, 0)
    done = subprocess.run(
        words_of(command, 0),
        cwd=tmp_path,
        env=environment(IPYTHONDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {"IPython": "<class 'miniloop.", "unittest": "", "nest_asyncio": "done"}
    assert expected.get(section, "1 passed") in done.stdout


CELL = """
import asyncio
async def square(n):
    await asyncio.sleep(0.001)
    return n
numbers = await asyncio.gather(*map(square, range(1000)))
print(type(asyncio.get_running_loop()).__module__.partition(".")[0], sum(numbers))
"""
NOTEBOOK = f"""
from jupyter_client import KernelManager
manager = KernelManager(kernel_name="miniloop")
manager.start_kernel()
client = manager.blocking_client()
try:
    client.start_channels()
    client.wait_for_ready(timeout={PATIENCE})
    reply = client.execute_interactive({CELL!r}, timeout={PATIENCE})
    assert reply["content"]["status"] == "ok", reply
finally:
    client.stop_channels()
    manager.shutdown_kernel()
"""


@pytest.mark.timeout(200)
def test_a_notebooks_cell_runs_on_a_miniloop(tmp_path: Path) -> None:
    need("Jupyter")
    [kernel_json] = [text for kind, text in BLOCK.findall(SECTIONS["Jupyter"]) if kind == "json"]
    folder = tmp_path / "miniloop"
    folder.mkdir()
    wanted = json.loads(kernel_json)
    wanted["argv"][0] = sys.executable
    (folder / "kernel.json").write_text(json.dumps(wanted))
    [install] = commands("Jupyter")
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    for words in (words_of(install, 0), [sys.executable, "notebook.py"]):
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env=environment(
                JUPYTER_DATA_DIR=str(tmp_path / "data"),
                JUPYTER_RUNTIME_DIR=str(tmp_path / "runtime"),
                IPYTHONDIR=str(tmp_path),
            ),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "miniloop 499500" in done.stdout


def test_nest_asyncio_refuses_as_the_page_says() -> None:
    # In a process of its own: it changes asyncio before it refuses.
    need("nest_asyncio")
    source = "import miniloop, nest_asyncio; nest_asyncio.apply(miniloop.new_event_loop())"
    done = subprocess.run(
        [sys.executable, "-c", source], env=environment(), capture_output=True, text=True
    )
    assert "ValueError: Can't patch loop of type" in done.stderr
