"""`--deadlock` and `--dump-signal` of `python -m miniloop`."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from miniloop.study import on_signal
from tests.swap.launch import PATIENCE, environment, launch

pytestmark = pytest.mark.timeout(120)  # each test starts an interpreter

FORGOTTEN = """
import asyncio
async def main():
    try:
        await asyncio.Event().wait()
    finally:
        print("clean")
asyncio.run(main())
"""


def test_a_program_that_hangs_ends_with_the_report_under_deadlock(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(FORGOTTEN)
    done = launch("--deadlock", "program.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "clean\n"
    assert "EverybodyWaits: the only task waits" in done.stderr
    assert "program.py:5 in main" in done.stderr


def test_processes_that_it_starts_are_watched_too(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(FORGOTTEN)
    source = (
        "import subprocess, sys; subprocess.run([sys.executable, 'program.py'], timeout=50);"
        "import asyncio; asyncio.run(asyncio.sleep(0))"
    )
    done = launch("--deadlock", "-c", source, cwd=tmp_path)
    assert done.returncode == 0
    assert "EverybodyWaits" in done.stderr


STEPS = """
import asyncio, functools, time
lock = asyncio.Lock()
async def blocks():
    async with lock:
        await asyncio.sleep(0)
        print("blocks", flush=True)
        while True:
            time.sleep(0.001)
async def waits():
    async with lock:
        pass
async def sleeps():
    await asyncio.sleep(1000)
async def main():
    task = asyncio.create_task(sleeps(), name="sleeps")
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(functools.partial(print, "asleep", flush=True))
    await asyncio.get_running_loop().run_in_executor(None, input)
    await asyncio.gather(blocks(), waits())
asyncio.run(main())
"""


def report_after(process: subprocess.Popen[str], stream: IO[str], tasks: int) -> str:
    """Ask for a report, and read it up to its last task."""
    process.send_signal(signal.SIGUSR1)
    lines = [stream.readline()]
    while sum(line.startswith("  '") for line in lines) < tasks:
        lines.append(stream.readline())
        assert lines[-1], "".join(lines)
    lines.append(stream.readline())
    return "".join(lines)


@pytest.mark.parametrize("option", ["--dump-signal=USR1", "--dump-signal=SIGUSR1"])
def test_a_signal_brings_the_report_of_a_loop_that_sleeps_and_of_one_that_is_held_up(
    tmp_path: Path, option: str
) -> None:
    (tmp_path / "program.py").write_text(STEPS)
    process = subprocess.Popen(
        [sys.executable, "-m", "miniloop", option, "program.py"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "asleep\n"
        report = report_after(process, process.stderr, 2)
        assert f"process {process.pid}: " in report
        assert re.search(r"'sleeps' at program.py:14 in sleeps\n +waits \S+ s for the end", report)
        assert "a call that is running in a thread" in report

        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "blocks\n"
        report = report_after(process, process.stderr, 4)
        assert "runs a step, and last came from the kernel" in report
        assert re.search(r"at program.py:[789] in blocks\n +runs", report)
        assert re.search(r"held by 'Task-\d+' since program.py:5 in blocks", report)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("words", [("--dump-signal=NONE",), ("--dump-signal", "KILL")])
def test_a_signal_that_is_none_or_cannot_be_caught_is_refused(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = launch(*words, "-c", "print(1)", cwd=tmp_path)
    assert done.returncode == 2
    assert "--dump-signal" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_a_report_that_fails_does_not_touch_the_program(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise LookupError("some fault of ours")

    monkeypatch.setattr(on_signal, "_report", fail)
    before = signal.getsignal(signal.SIGUSR2)
    try:
        on_signal.dump_on_signal(signal.SIGUSR2)
        signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    said = capfd.readouterr().err
    assert "no report could be made" in said
    assert "some fault of ours" in said


def test_a_program_that_is_not_watched_loads_nothing_of_it(tmp_path: Path) -> None:
    source = """
import asyncio, sys
async def main():
    print(asyncio.get_running_loop()._observers)
asyncio.run(main())
print([name for name in sys.modules if name.startswith("miniloop.study")])
"""
    done = launch("-c", source, cwd=tmp_path)
    assert done.stdout == "()\n[]\n"
