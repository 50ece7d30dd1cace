"""Instructions of one operation, counted by valgrind: the same on a busy machine and a quiet one.

A process runs each row twice as often the second time as the first. The difference of the two
counts is that of the additional operations, without what it takes to begin and to end. What the
kernel does is not counted, nor how long memory keeps an instruction waiting: a system call more is
hardly seen. So these are figures for parts of one loop that ask the system for the same things.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import catalogue, loops
from benchmarks.job import Job

__all__ = ["InstructionsError", "count"]

# valgrind writes down what it has counted whenever this function of C is called. Nobody else does.
MARK = "getloadavg"
OPERATIONS = 1000
# A first one is not counted: in it the interpreter learns, and what is made once is made.
RUNS = (1, 1, 2)


class InstructionsError(Exception):
    """They could not be counted; the message says why."""


def count(
    loop: loops.Loop, rows: Sequence[catalogue.Row], far_end: tuple[str, int] | None = None
) -> list[int]:
    """Instructions that an operation of each row takes in the process with the loop.

    Raises `InstructionsError` where valgrind is missing or a row fails.
    """
    if not shutil.which("valgrind"):
        raise InstructionsError("valgrind is not installed, and counts the instructions")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "counted")
        ended = subprocess.run(
            [
                *("valgrind", "--tool=callgrind", f"--dump-before={MARK}"),
                *(f"--callgrind-out-file={out}", sys.executable, "-m", __spec__.name, loop.name),
                *("{}:{}".format(*far_end) if far_end else "", *(row.name for row in rows)),
            ],
            # Strings hash alike in each process, so that sets and dictionaries do the same work.
            env={**os.environ, **dict(loop.environment), "PYTHONHASHSEED": "0"},
            check=False,
            capture_output=True,
            text=True,
        )
        if ended.returncode:
            said = [line for line in ended.stderr.splitlines() if not line.startswith("==")]
            raise InstructionsError("\n".join(reversed(said)))  # what went wrong comes first
        # Each run has two marks: what was counted between them is the second file.
        counted = [
            _total(out.with_suffix(f".{2 * number + 2}")) for number in range(len(RUNS) * len(rows))
        ]
    return [
        round((counted[place + 2] - counted[place + 1]) / _operations(row))
        for place, row in zip(range(0, len(counted), len(RUNS)), rows, strict=True)
    ]


def _total(path: Path) -> int:
    found = re.search(r"^totals: (\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise InstructionsError(f"valgrind wrote no total into {path.name}")
    return int(found[1])


def _operations(row: catalogue.Row) -> int:
    return row.step * math.ceil(OPERATIONS / row.step)


def main(arguments: Sequence[str]) -> None:
    """Run the rows, in the process whose instructions are counted."""
    loop, address, *names = arguments
    host, _, port = address.rpartition(":")
    far_end = (host, int(port)) if address else None

    async def body(program: catalogue.Program, job: Job) -> int:
        return await program.body(job)

    with asyncio.Runner(loop_factory=loops.find(loop).load()) as runner:
        for row in (row for name in names for row in catalogue.select([name])):
            program = row.program(row.reference)
            for times in RUNS:
                job = Job(_operations(row) * times, row.shape, far_end if row.far_end else None)
                gc.collect()
                os.getloadavg()
                done = runner.run(body(program, job))
                os.getloadavg()
                job.finish(done)


if __name__ == "__main__":
    main(sys.argv[1:])
