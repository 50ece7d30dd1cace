"""Exercise 3: write `gather`."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

from miniloop.study.check.exercise import Exercise, Wrong, equal, function, not_to_be_used
from miniloop.study.check.virtual_time import Clock, run

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 3: write `gather`.

`await gather(*coroutines)` runs them at the same time, each in a task of its own, and returns the
list of their results in the order of the arguments. If one raises, gather raises that at once, and
the others go on. What you need is `asyncio.create_task`, a future (`loop.create_future()`) and
`add_done_callback`. The ready-made ones (gather, wait, as_completed, TaskGroup) are shut away.

    python3 -m miniloop.study check 3
"""

import asyncio


async def gather(*coroutines):
    ...
'''

_READY_MADE = ("gather", "wait", "wait_for", "as_completed", "TaskGroup")


async def _later(clock: Clock, seconds: float, result: Any) -> Any:
    await asyncio.sleep(seconds)
    if isinstance(result, Exception):
        raise result
    return result


def _gathers(solution: ModuleType, *pauses: float) -> tuple[list[str], float]:
    async def main(clock: Clock) -> tuple[list[str], float]:
        found = await function(solution, "gather")(
            *(_later(clock, pause, f"after {pause:g}") for pause in pauses)
        )
        return found, clock.now

    with not_to_be_used(asyncio, *_READY_MADE):
        return run(main)


def _one(solution: ModuleType) -> None:
    """The result of one coroutine is a list of one."""
    equal("await gather(one)", _gathers(solution, 1)[0], ["after 1"])


def _order(solution: ModuleType) -> None:
    """Results are in the order of the arguments, and not in that of the ends."""
    equal("the results", _gathers(solution, 3, 1, 2)[0], ["after 3", "after 1", "after 2"])


def _at_once(solution: ModuleType) -> None:
    """All of them run at the same time."""
    seconds = _gathers(solution, 3, 1, 2)[1]
    if seconds > 3:
        raise Wrong(
            f"sleeps of 3, 1 and 2 s took {seconds:g} s, and not 3: one waited for the other. "
            "Make all tasks before you await the first"
        )


def _none(solution: ModuleType) -> None:
    """gather() of nothing is an empty list, and does not wait."""
    equal("await gather()", _gathers(solution)[0], [])


def _failure(solution: ModuleType) -> None:
    """The first failure is raised as soon as it is there, and the others go on."""
    ended = []

    async def long(clock: Clock) -> None:
        await asyncio.sleep(5)
        ended.append(clock.now)

    async def main(clock: Clock) -> None:
        try:
            await function(solution, "gather")(
                long(clock), _later(clock, 1, OSError("the first")), _later(clock, 2, OSError())
            )
        except OSError as error:
            equal("the exception", str(error), "the first")
        else:
            raise Wrong("one of the coroutines raised, and gather did not")
        if clock.now != 1:
            raise Wrong(f"the failure came after 1 s, and gather raised it after {clock.now:g} s")
        await asyncio.sleep(10)

    with not_to_be_used(asyncio, *_READY_MADE):
        run(main)
    equal("when the one ended that had nothing to do with the failure", ended, [5])


EXERCISE = Exercise(BEGIN, (_one, _order, _at_once, _none, _failure))
