"""Exercise 4: call at a steady pace."""

from __future__ import annotations

import asyncio
from types import ModuleType

from miniloop.study.check.exercise import Exercise, Wrong, equal, function
from miniloop.study.check.virtual_time import Clock, run

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 4: call at a steady pace.

Write `every`. `await every(seconds, times, call)` calls `call()` so many times: for the first time
after `seconds`, and then at that pace, however long each call takes. A pace of 1 s that is begun
at 10 means 11, 12, 13 ... and never 11, 12.2, 13.4. A call that takes longer than `seconds` makes
the next one late; it comes at once then, and those after it are back on time if they can be.

    python3 -m miniloop.study check 4
"""

import asyncio


async def every(seconds, times, call):
    ...
'''


def _moments(solution: ModuleType, seconds: float, work: list[float]) -> list[float]:
    """When `call` was called, if it takes so long each time."""
    called: list[float] = []

    async def main(clock: Clock) -> None:
        clock.pass_by(10)

        def call() -> None:
            called.append(round(clock.now - 10, 6))
            if len(called) > len(work):
                raise Wrong(f"asked for {len(work)} calls, and this is one more")
            clock.pass_by(work[len(called) - 1])

        await function(solution, "every")(seconds, len(work), call)

    run(main)
    return called


def _times(solution: ModuleType) -> None:
    """It calls as often as it is asked to."""
    equal("how many calls", len(_moments(solution, 1, [0, 0, 0])), 3)
    equal("how many calls, if none is asked for", len(_moments(solution, 1, [])), 0)


def _pace(solution: ModuleType) -> None:
    """The calls come one pace apart, the first of them after one pace."""
    moments = _moments(solution, 0.5, [0, 0, 0])
    if moments[0] == 0:
        raise Wrong("the first call came at once, and should come after `seconds`")
    equal("seconds after the start", moments, [0.5, 1.0, 1.5])


def _no_drift(solution: ModuleType) -> None:
    """The time that a call takes is not added to the pace."""
    moments = _moments(solution, 1, [0.2, 0.2, 0.2, 0.2])
    if moments == [1.0, 2.2, 3.4, 4.6]:
        raise Wrong(
            "a call takes 0.2 s, and each of them came that much later: do not sleep for a pace, "
            "sleep until a deadline that is counted from the start"
        )
    equal("seconds after the start, with calls of 0.2 s", moments, [1.0, 2.0, 3.0, 4.0])


def _late(solution: ModuleType) -> None:
    """After a call that took too long the next comes at once, and then the pace is kept again."""
    moments = _moments(solution, 1, [0, 2.5, 0, 0, 0])
    equal("seconds after the start, the second taking 2.5 s", moments, [1.0, 2.0, 4.5, 4.5, 5.0])


def _cancelled(solution: ModuleType) -> None:
    """Cancelled, it ends, and calls no more."""
    called: list[float] = []

    async def main(clock: Clock) -> None:
        task = asyncio.ensure_future(
            function(solution, "every")(1, 5, lambda: called.append(clock.now))
        )
        await asyncio.sleep(2.5)
        task.cancel()
        await asyncio.sleep(5)
        if not task.cancelled():
            raise Wrong("2.5 s after its start it was cancelled, and did not end as cancelled")

    run(main)
    equal("seconds at which it called, cancelled at 2.5", called, [1, 2])


EXERCISE = Exercise(BEGIN, (_times, _pace, _no_drift, _late, _cancelled))
