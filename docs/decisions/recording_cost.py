"""What recording costs, in instructions: the table of docs/recording.md.

    python docs/decisions/recording_cost.py

Needs valgrind. Each row is run in a process of its own, twice, with some operations more the second
time; the difference is divided by their number, so that the start of the interpreter does not
count. Instructions are the same on a busy machine, and nearly the same from run to run. The clock
of the loop stands still: under valgrind real time passes fifty times as fast, and a loop would look
at the kernel fifty times as often.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path

import miniloop
from miniloop.study import recording

Row = Callable[[int], Awaitable[None]]

# How many operations, in the first process and in the second. A recorder reads the sources of the
# program when it first writes: that must have happened after the first few.
COUNTS = {"off": (1_000, 4_000), "recorded": (6_000, 12_000), "debug mode": (500, 1_500)}


async def yields(count: int) -> None:
    """A step of one of five tasks that give way, `sleep(0)`."""

    async def work() -> None:
        for _ in range(count // 5):
            await asyncio.sleep(0)

    loop = asyncio.get_running_loop()
    for task in [loop.create_task(work()) for _ in range(5)]:
        await task


async def nested(count: int) -> None:
    """The same, behind an `await` of an `await`, ten deep."""

    async def work(depth: int) -> None:
        if depth:
            await work(depth - 1)
        else:
            for _ in range(count // 5):
                await asyncio.sleep(0)

    loop = asyncio.get_running_loop()
    for task in [loop.create_task(work(9)) for _ in range(5)]:
        await task


async def callbacks(count: int) -> None:
    """A callback that schedules the next, `call_soon`."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = count

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            done.set_result(None)

    loop.call_soon(step)
    await done


async def futures(count: int) -> None:
    """A future that a callback finishes, and that is awaited."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


async def tasks(count: int) -> None:
    """A task that is created and awaited."""

    async def work() -> None:
        pass

    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.create_task(work())


async def timers(count: int) -> None:
    """A timer that is set and cancelled."""
    loop = asyncio.get_running_loop()
    for number in range(count):
        loop.call_later(60, print).cancel()
        if number % 100 == 0:
            await asyncio.sleep(0)


ROWS: dict[str, Row] = {
    row.__name__: row for row in (yields, nested, callbacks, futures, tasks, timers)
}


def run(row: str, mode: str, count: int) -> None:
    """One row in this process."""
    loop = miniloop.EventLoop(clock=functools.partial(float, 0.0))
    loop.set_debug(mode == "debug mode")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run")
        with recording(path, loop=loop) if mode == "recorded" else nullcontext():
            loop.run_until_complete(ROWS[row](count))  # type: ignore[arg-type]  # coroutines
    loop.close()


def instructions(row: str, mode: str, count: int) -> int:
    """The instructions of a process that does this."""
    done = subprocess.run(
        [
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
            *(sys.executable, __file__, row, mode, str(count)),
        ],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def price(row: str, mode: str) -> float:
    """Instructions of one operation."""
    few, many = COUNTS[mode]
    return (instructions(row, mode, many) - instructions(row, mode, few)) / (many - few)


def main() -> None:
    """Print the table."""
    if shutil.which("valgrind") is None:
        raise SystemExit("recording_cost: valgrind is not installed")
    print(f"Instructions per operation, CPython {sys.version.split()[0]}:\n")
    print("| One operation | off | recorded | | debug mode | |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, row in ROWS.items():
        off, recorded, debug = (price(name, mode) for mode in COUNTS)
        what = (row.__doc__ or name).removesuffix(".")
        print(
            f"| {what} | {off:,.0f} | {recorded:,.0f} | {recorded / off:.1f} times "
            f"| {debug:,.0f} | {debug / off:.1f} times |",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) == 4:
        run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main()
