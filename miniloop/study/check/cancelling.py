"""Exercise 7: write `timeout`."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

from miniloop.study.check.exercise import Exercise, Wrong, equal, function, not_to_be_used
from miniloop.study.check.virtual_time import Clock, run

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 7: write `timeout`.

    async with timeout(seconds):
        ...

What is in the block is given so many seconds. When they are over it is cancelled, and out of the
block comes TimeoutError. But if somebody else has cancelled the task, CancelledError must come out,
as if there were no timeout at all. Behind the block no timer is left, and no request to cancel of
your own (`task.cancelling()`). The ready-made ones (asyncio.timeout, wait_for) are shut away.

    python3 -m miniloop.study check 7
"""

import asyncio


class timeout:
    def __init__(self, seconds):
        ...

    async def __aenter__(self):
        ...

    async def __aexit__(self, kind, error, traceback):
        ...
'''

_READY_MADE = ("timeout", "timeout_at", "wait_for", "wait")


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _clean(what: str) -> None:
    """Raise Wrong if a request to cancel, or a timer, is left."""
    left = _task().cancelling()
    if left:
        raise Wrong(
            f"{what}: {left} request to cancel is left on the task, so a TaskGroup or another "
            "timeout around it would take it for theirs. Task.uncancel takes one back"
        )
    loop: Any = asyncio.get_running_loop()
    if not all(timer.cancelled() for timer in loop._scheduled):
        raise Wrong(f"{what}: the timer is still there, and will strike whoever runs then")


def _in_time(solution: ModuleType) -> None:
    """A block that is quick enough is left alone, and nothing is left behind."""

    async def main(clock: Clock) -> None:
        async with function(solution, "timeout")(5):
            await asyncio.sleep(1)
        _clean("after a block that ended in time")
        await asyncio.sleep(10)

    _shut(main)


def _too_late(solution: ModuleType) -> None:
    """When the time is up TimeoutError comes out, then and no later."""

    async def main(clock: Clock) -> None:
        try:
            async with function(solution, "timeout")(5):
                await asyncio.sleep(100)
        except TimeoutError:
            equal("seconds until then", clock.now, 5)
        except asyncio.CancelledError:
            raise Wrong("the block was cancelled, and CancelledError came out of it") from None
        else:
            raise Wrong(f"nothing came out of the block, which ended after {clock.now:g} s")
        _clean("after a block that was too slow")

    _shut(main)


def _other_errors(solution: ModuleType) -> None:
    """Other exceptions come out as they are."""

    async def main(clock: Clock) -> None:
        try:
            async with function(solution, "timeout")(5):
                raise LookupError("of the block")
        except LookupError:
            pass
        else:
            raise Wrong(
                "the block raised LookupError, and nothing came out: what __aexit__ returns"
                " says whether the exception is done with"
            )
        _clean("after a block that raised")

    _shut(main)


def _cancelled_by_others(solution: ModuleType) -> None:
    """A task that somebody else has cancelled ends as cancelled."""

    async def slow() -> None:
        async with function(solution, "timeout")(5):
            await asyncio.sleep(100)

    async def main(clock: Clock) -> None:
        task = asyncio.ensure_future(slow())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.sleep(0.1)
        _expect_cancelled(task, "cancelled by somebody else after 1 of 5 s")
        await asyncio.sleep(10)

    _shut(main)


def _both_at_once(solution: ModuleType) -> None:
    """Cancelled by others in the very turn in which the time is up, it ends as cancelled."""

    async def slow() -> None:
        async with function(solution, "timeout")(5):
            await asyncio.sleep(100)

    async def main(clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(slow())
        await asyncio.sleep(0)
        loop.call_at(5, task.cancel)
        await asyncio.sleep(6)
        _expect_cancelled(task, "cancelled by somebody else in the turn of the deadline")

    _shut(main)


def _nested(solution: ModuleType) -> None:
    """Of two blocks, one in the other, the one whose time is up raises, and no other."""

    async def main(clock: Clock) -> None:
        timeout = function(solution, "timeout")
        for outer, inner, wanted in ((10, 1, "inner"), (1, 10, "outer")):
            came_out = []
            try:
                async with timeout(outer):
                    try:
                        async with timeout(inner):
                            await asyncio.sleep(100)
                    except TimeoutError:
                        came_out.append("inner")
            except TimeoutError:
                came_out.append("outer")
            equal(f"{outer} s around {inner} s: what raised", came_out, [wanted])
            _clean("after two blocks, one in the other")

    _shut(main)


def _expect_cancelled(task: asyncio.Task[Any], when: str) -> None:
    if not task.done():
        raise Wrong(f"{when}: the task goes on")
    if not task.cancelled():
        raise Wrong(f"{when}: wanted CancelledError to come out, got {task.exception()!r}")


def _shut(main: Any) -> None:
    with not_to_be_used(asyncio, *_READY_MADE):
        run(main)


EXERCISE = Exercise(
    BEGIN,
    (_in_time, _too_late, _other_errors, _cancelled_by_others, _both_at_once, _nested),
)
