"""A worker: one process with one loop in it, that runs one row again and again when it is told to.

``python -m benchmarks.worker ROW PROGRAM LOOP [HOST PORT]`` reads the number of operations, one
line a sample, and answers each with a line of JSON. Its loop lives as long as the process.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

from benchmarks import catalogue, limits, loops, processors
from benchmarks.job import Job
from benchmarks.machine import open_many_files

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Serve samples until standard input ends."""
    row_name, program_name, loop_name, *address = arguments
    far_end = (address[0], int(address[1])) if address else None
    (row,) = [row for row in catalogue.all_rows() if row.name == row_name]
    loop = loops.find(loop_name)
    open_many_files()
    far_end_processor = None
    if row.apart and (places := processors.apart()) is not None:
        near, far_end_processor = places
        processors.stay_on(near)
    # Answers leave by a copy of standard output, and whatever else prints goes to standard error.
    answers = sys.stdout
    sys.stdout = sys.stderr
    with ExitStack() as stack:
        run = _limit(row, loop) if loop.limit else _loop(row.program(program_name), loop, stack)
        for line in sys.stdin:
            job = Job(int(line), row.shape, far_end, far_end_processor)
            gc.collect()  # nobody pays for what the sample before left behind
            try:
                answer = asdict(job.finish(run(job)))
            except Exception as error:  # noqa: BLE001 - the parent puts it into the table
                traceback.print_exc()
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers, flush=True)
    return 0


def _loop(program: catalogue.Program, loop: loops.Loop, stack: ExitStack) -> Callable[[Job], int]:
    """How to run a program on a loop, the same one each time."""
    runner = stack.enter_context(asyncio.Runner(loop_factory=loop.load()))

    async def body(job: Job) -> int:
        return await program.body(job)

    return lambda job: runner.run(body(job))


def _limit(row: catalogue.Row, loop: loops.Loop) -> Callable[[Job], int]:
    """How to run the row on a bare server."""
    serve: limits.Server = loop.load()
    return lambda job: limits.measure(serve, row.limit, job)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
