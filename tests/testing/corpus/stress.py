"""The other way to look for races: run the program many times, with random sleeps for its I/O.

To be fair to it, it runs on a loop that notices a deadlock at once, where a usual one would hang;
and the tasks that `explore` is told to cancel are cancelled at a random time.
"""

from __future__ import annotations

import asyncio
import fnmatch
import random
import time
from dataclasses import dataclass

from miniloop.study import deadlock_detecting_loop
from tests.testing.corpus import Bug
from tests.testing.corpus.world import latency

__all__ = ["Stress", "stress"]

LONGEST_SLEEP = 0.001  # seconds, of each pause


@dataclass(frozen=True)
class Stress:
    """`runs` is how many were made, the last of which failed if `found`."""

    found: bool
    runs: int
    seconds: float


def stress(bug: Bug, *, runs: int, seed: int = 0) -> Stress:
    """Run the buggy program up to `runs` times, until it fails."""
    dice = random.Random(seed)
    begin = time.perf_counter()
    usual, latency.seconds = latency.seconds, lambda: dice.uniform(0, LONGEST_SLEEP)
    try:
        for number in range(1, runs + 1):
            if _fails(bug, dice):
                return Stress(True, number, time.perf_counter() - begin)
        return Stress(False, runs, time.perf_counter() - begin)
    finally:
        latency.seconds = usual


def _fails(bug: Bug, dice: random.Random) -> bool:
    unseen: list[object] = []
    with asyncio.Runner(loop_factory=deadlock_detecting_loop) as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _, context: unseen.append(context))
        pattern = bug.options.get("cancel")
        if pattern is not None:
            loop.call_later(dice.uniform(0, 4 * LONGEST_SLEEP), _cancel, loop, pattern)
        try:
            runner.run(bug.buggy())
        except Exception:  # EverybodyWaits too
            return True
    return bool(unseen)


def _cancel(loop: asyncio.AbstractEventLoop, pattern: str) -> None:
    for task in asyncio.all_tasks(loop):
        if fnmatch.fnmatch(task.get_name(), pattern):
            task.cancel()
