"""`-v`: which loops ran, in this process and in its children."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from miniloop import COMPILED
from tests.swap.launch import PATIENCE, environment, launch, program

pytestmark = pytest.mark.timeout(120)  # each test starts several interpreters

# The compiled build says so behind the name.
LINE = re.compile(
    r"python -m miniloop: process (\d+) ran (\d+) loops? of (.*?)" + r"( \(compiled\))?" * COMPILED
)


def lines(said: str) -> list[tuple[str, int, str]]:
    found = [LINE.fullmatch(line) for line in said.splitlines()]
    assert all(found), said
    return [(match[1], int(match[2]), match[3]) for match in found if match]


def test_each_process_has_its_line_however_it_ended(tmp_path: Path) -> None:
    source = """
import multiprocessing, os, signal, subprocess, sys
def dies():
    kind()
    os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    print(os.getpid())
    for _ in range(3):
        kind()
    for method in "fork", "spawn":
        process = multiprocessing.get_context(method).Process(target=dies)
        process.start()
        print(process.pid)
        process.join()
    child = subprocess.Popen([sys.executable, "-c", "from program import kind; kind()"])
    print(child.pid)
    child.wait()
    subprocess.run([sys.executable, "-c", "import asyncio"])
"""
    result = launch("-v", program(tmp_path, source), cwd=tmp_path)
    numbers = result.stdout.split()
    assert lines(result.stderr) == [
        (number, 3 if number == numbers[0] else 1, "miniloop.EventLoop") for number in numbers
    ]
    assert len(numbers) == 4


def test_the_class_is_named_and_what_is_not_miniloops(tmp_path: Path) -> None:
    source = """
class Own(asyncio.SelectorEventLoop):
    pass
class Insider(asyncio.SelectorEventLoop):
    def _run_once(self):
        super()._run_once()
class Strange(asyncio.AbstractEventLoop):  # as one in C is
    def run_forever(self):
        asyncio._set_running_loop(self)
        asyncio._set_running_loop(None)
Strange().run_forever()
for factory in (Own, Insider, None):
    kind(loop_factory=factory)
"""
    result = launch("--verbose", program(tmp_path, source), cwd=tmp_path)
    said = [line for line in result.stderr.splitlines() if " ran " in line]
    assert [name for _, _, name in lines("\n".join(said))] == [
        "__main__.Strange, which is not miniloop's",
        "__main__.Own, a miniloop.EventLoop",
        "__main__.Insider, which is not miniloop's",
        "miniloop.EventLoop",
    ]


@pytest.mark.parametrize("more", [[], ["-v"]])
def test_a_child_that_is_started_as_we_were_is_counted_with_its_children(
    tmp_path: Path, more: list[str]
) -> None:
    inner = "import subprocess, sys\nif len(sys.argv) > 1:\n"
    inner += "    subprocess.run([sys.executable, *sys.argv[1:]])\nkind()"
    name = program(tmp_path, inner)
    words = ["-m", "miniloop", *more, name, name]
    result = launch("-v", name, *words, cwd=tmp_path)
    counted = [(count, kind) for _, count, kind in lines(result.stderr)]
    # The one in the middle with a `-v` of its own tells of itself and of its child, and is known
    # to the first one.
    assert counted == [(1, "miniloop.EventLoop")] * (4 if more else 3)


def test_that_no_loop_ran_is_said_as_well(tmp_path: Path) -> None:
    result = launch("-v", "-c", "print('no loop')", cwd=tmp_path)
    assert result.stderr == "python -m miniloop: no event loop ran\n"


@pytest.mark.parametrize("ending", ["1 / 0", "raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_it_is_said_after_a_failure_too(tmp_path: Path, ending: str) -> None:
    result = launch("-v", program(tmp_path, f"kind()\n{ending}"), cwd=tmp_path)
    assert len(lines(result.stderr.splitlines()[-1])) == 1


def test_it_is_said_by_a_program_that_ends_itself_by_a_signal(tmp_path: Path) -> None:
    source = "kind()\nimport signal\nsignal.raise_signal(signal.SIGTERM)"
    result = launch("-v", program(tmp_path, source), cwd=tmp_path)
    assert result.returncode == -signal.SIGTERM
    assert len(lines(result.stderr)) == 1


def test_a_signal_with_a_handler_is_not_the_end(tmp_path: Path) -> None:
    source = """
import signal
kind()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
signal.raise_signal(signal.SIGTERM)
kind()
"""
    result = launch("-v", program(tmp_path, source), cwd=tmp_path)
    assert result.stdout == "handled\n"
    assert [count for _, count, _ in lines(result.stderr)] == [2]


def test_the_notes_are_gone_afterwards_and_nothing_is_noted_unless_asked(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    source = f"import os\nkind()\nprint(os.listdir({str(folder)!r}))"
    env = environment(TMPDIR=str(folder))
    assert launch(program(tmp_path, source), cwd=tmp_path, env=env).stdout == "[]\n"
    assert "miniloop-" in launch("-v", "program.py", cwd=tmp_path, env=env).stdout
    assert os.listdir(folder) == []
    assert tempfile.gettempdir() != str(folder)


def test_a_closed_standard_error_does_no_harm(tmp_path: Path) -> None:
    name = program(tmp_path, "kind(); print('ran', flush=True)")
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m miniloop -v {name} 2>&-', sys.executable],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (0, b"ran\n")
