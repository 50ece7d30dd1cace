"""The tests of libraries (tests/ecosystem) under random legal orders, on both loops.

Each is there twice, for miniloop and for asyncio, and both loops are shuffled: a test that fails on
both relies on FIFO. A test that hangs takes its file down; the rest of the file is run without it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.shuffled.orders import VARIABLE

__all__ = ["run_libraries"]

FOLDER = Path(__file__).parents[1] / "ecosystem"
ROOT = FOLDER.parents[1]

# Tests of how programs are started, in processes that nobody shuffles.
WITHOUT_AN_ORDER = {"test_recipes.py", "test_programs.py", "test_habits.py"}

OUTCOME = re.compile(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED)\b")
BEGINNING = re.compile(r"^(\S+::\S+) ?$")


def run_libraries(
    orders: int, first: int, limit: float, known: list[str]
) -> tuple[int, dict[str, str]]:
    """Run all in so many orders, but for those `known` to rely on FIFO, which may hang.

    Gives how many passed, and what was wrong with the others.
    """
    passed: set[str] = set()
    wrong: dict[str, str] = {}
    for file in sorted(FOLDER.glob("test_*.py")):
        if file.name in WITHOUT_AN_ORDER:
            continue
        for order in range(first, first + orders):
            while (hung := _run_file(file, order, limit, passed, wrong, known)) is not None:
                wrong[hung] = f"hung in order {order}"
    return len(passed - set(wrong)), wrong


def _run_file(
    file: Path,
    order: int,
    limit: float,
    passed: set[str],
    wrong: dict[str, str],
    known: list[str],
) -> str | None:
    """Run a file once, without what is known to be wrong; gives the test that hung, if one did."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "tests.shuffled.orders"]
    command += ["-p", "no:cacheprovider", "--color=no", "-o", "console_output_style=classic"]
    command += [word for test in (*wrong, *known) for word in ("--deselect", test)]
    environment = {**os.environ, VARIABLE: str(order), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, f"--timeout={limit}", str(file.relative_to(ROOT))],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=30 * limit)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    for line in output.splitlines():
        found = OUTCOME.match(line)
        if found is not None and found[2] == "PASSED":
            passed.add(found[1])
        elif found is not None and found[2] in ("FAILED", "ERROR"):
            wrong.setdefault(found[1], f"fails in order {order}")
    last = output.splitlines()[-1:]
    hung = BEGINNING.match(last[0]) if last else None
    return None if hung is None else hung[1]
