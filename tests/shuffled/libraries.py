"""The tests of libraries (tests/ecosystem) under random legal orders, on both loops.

Each is there twice, for miniloop and for asyncio, and both loops are shuffled: a test that fails on
both relies on FIFO. A file is run in one process, each test under all orders there; one that hangs
takes the process down, and the rest of the file is run in another one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.shuffled.journal import Journal
from tests.shuffled.repeating import VARIABLE

__all__ = ["run_libraries"]

FOLDER = Path(__file__).parents[1] / "ecosystem"
ROOT = FOLDER.parents[1]

# Tests of how programs are started, in processes that nobody shuffles.
WITHOUT_AN_ORDER = {"test_recipes.py", "test_programs.py", "test_habits.py"}


def run_libraries(
    orders: int, first: int, limit: float, known: list[str], names: list[str], journal: Journal
) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Run the files, or those of these names, but for the tests `known` to rely on FIFO.

    Gives for each file how many tests passed in every order, and what was wrong with the others.
    """
    for file in sorted(FOLDER.glob("test_*.py")):
        if file.name in WITHOUT_AN_ORDER or (names and file.stem not in names):
            continue
        part = str(file.relative_to(ROOT))
        job = {"first": first, "orders": orders, "limit": limit}
        while not any(each["test"] is None for each in journal.about(part, "both")):
            _run_file(part, job, known, journal)
        tried = [each for each in journal.about(part, "both") if each["test"] is not None]
        wrong = {each["test"]: each["error"] for each in tried if each["error"] is not None}
        yield part, len(tried) - len(wrong), wrong


def _run_file(part: str, job: dict[str, Any], known: list[str], journal: Journal) -> None:
    """Run what is left of a file in one process, to the end or to the first test that hangs."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.shuffled.repeating"]
    command += ["-p", "no:cacheprovider", "-o", "timeout_func_only=true", "--timeout=0"]
    done = [each["test"] for each in journal.about(part, "both")]
    command += [word for test in (*done, *known) for word in ("--deselect", test)]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        report.touch()
        environment = {**os.environ, VARIABLE: json.dumps({**job, "report": str(report)})}
        run = subprocess.run(
            [*command, part],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        events = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    begun: tuple[str, int] | None = None
    for event in events:
        begun = (event["test"], event["order"]) if event["event"] == "start" else None
        if event["event"] == "end":
            error = event["error"] and f"order {event['order']}: {event['error']}"
            journal.add(part=part, loop="both", test=event["test"], error=error)
    if begun is not None:
        journal.add(part=part, loop="both", test=begun[0], error=f"order {begun[1]}: it hung")
    elif run.returncode in (0, 1, 5):  # passed, failed, nothing left
        journal.add(part=part, loop="both", test=None, error=None)
    else:
        raise RuntimeError(f"pytest ended with {run.returncode} in {part}:\n{run.stdout[-2000:]}")
