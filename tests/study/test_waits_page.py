"""docs/who-waits-for-whom.md: its programs run, and print what the page says they print."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.swap.launch import PATIENCE, environment, plain

pytestmark = pytest.mark.timeout(120)  # each test starts an interpreter

PAGE = (Path(__file__).parents[2] / "docs" / "who-waits-for-whom.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.M | re.S))
COMMANDS = re.findall(r"^```console\n\$ python (.*?)\n(.*?)^```$", PAGE, re.M | re.S)


def written(folder: Path) -> None:
    for name, source in PROGRAMS.items():
        (folder / name).write_text(f"# {name}\n{source}", encoding="utf-8")


def without_times(text: str) -> str:
    return re.sub(r"\d+\.\d\d s", "N s", text)


@pytest.mark.parametrize(("command", "output"), COMMANDS)
def test_each_command_prints_what_the_page_says(tmp_path: Path, command: str, output: str) -> None:
    written(tmp_path)
    done = plain(*command.split(), cwd=tmp_path)
    printed = without_times(done.stdout + done.stderr)
    assert without_times(output) in printed


@pytest.mark.skipif(sys.version_info < (3, 14), reason="sys.remote_exec is there from 3.14 on")
def test_a_program_can_be_asked_that_was_started_without_any_option(tmp_path: Path) -> None:
    written(tmp_path)
    source = """
import asyncio
import miniloop
async def wait_for_nobody(ticks):
    while True:
        await asyncio.sleep(0.01)
        if not ticks:
            ticks.append(1)
            print("runs", flush=True)
miniloop.run(wait_for_nobody([]))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", source],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "runs\n"
        asked = plain("ask.py", str(child.pid), cwd=tmp_path)
        if "PermissionError" in asked.stderr:
            pytest.skip("this system does not let one process look into another")
        assert asked.returncode == 0, asked.stderr
        assert child.stderr.readline().startswith("miniloop.EventLoop ")
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=PATIENCE)
