"""Exercise 10: count what each turn runs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

from miniloop.kernel.joints import Joints
from miniloop.loop import EventLoop
from miniloop.study.check.exercise import Exercise, Wrong, equal, function

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 10: count what each turn runs.

Write `turns`. It runs the coroutine on a loop of miniloop, and returns two things: what the
coroutine returned, and a list with a number for each turn of that loop in which something ran: how
many entries it was. The loop is closed in the end, also if the coroutine raises. Two ways lead
there: a ready queue of your own (`miniloop.EventLoop(ready=...)`), or an observer (`loop.observe`).
`miniloop/kernel/joints.py` tells of both. Look when phase 4 begins: what a timer queues comes late.

    python3 -m miniloop.study check 10
"""

import miniloop


def turns(coroutine):
    ...
'''


class _Counter:
    """An observer of our own. The solution is compared with it."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def join(self, joints: Joints) -> Joints:
        begin_turn = joints.begin_turn

        def counted(ready: deque[Any]) -> int:
            count = begin_turn(ready)
            if count:
                self.counts.append(count)
            return count

        return joints._replace(begin_turn=counted)

    def run_ended(self) -> None:
        pass


def _compare(solution: ModuleType, main: Callable[[], Coroutine[Any, Any, str]]) -> None:
    counter = _Counter()
    loops: list[EventLoop] = []

    def look(loop: EventLoop) -> None:
        loops.append(loop)
        loop.observe(counter)

    turns = function(solution, "turns")
    EventLoop.when_made.append(look)
    try:
        found = turns(main())
    finally:
        EventLoop.when_made.remove(look)
        for loop in loops:
            loop.close()  # whether it is closed already is another check
    if not loops:
        raise Wrong("no loop of miniloop was made: `miniloop.EventLoop()` is one")
    if not isinstance(found, tuple) or len(found) != 2:
        raise Wrong(f"wanted what the coroutine returned, and a list of counts; got {found!r}")
    equal("what the coroutine returned", found[0], "ended")
    equal("entries that ran, turn by turn", list(found[1]), counter.counts)


def _nothing() -> None:
    pass


async def _ended() -> str:
    return "ended"


async def _yields() -> str:
    for _ in range(3):
        await asyncio.sleep(0)
    return "ended"


async def _many() -> str:
    await asyncio.gather(*(_yields() for _ in range(20)))
    return "ended"


async def _sleeps() -> str:
    await asyncio.sleep(0.02)
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, _nothing)
    await asyncio.sleep(0.02)
    return "ended"


def _one(solution: ModuleType) -> None:
    """A coroutine that never waits."""
    _compare(solution, _ended)


def _some(solution: ModuleType) -> None:
    """A task that yields takes a turn each time."""
    _compare(solution, _yields)


def _crowd(solution: ModuleType) -> None:
    """Many tasks run in one turn."""
    _compare(solution, _many)


def _timers(solution: ModuleType) -> None:
    """What a timer queues is counted in the turn in which it is due."""
    _compare(solution, _sleeps)


def _closes(solution: ModuleType) -> None:
    """The loop is closed, also when the coroutine raises."""
    loops: list[EventLoop] = []

    async def fails() -> None:
        raise LookupError("of the coroutine")

    EventLoop.when_made.append(loops.append)
    try:
        for main in _ended, fails:
            try:
                function(solution, "turns")(main())
            except LookupError:
                pass
            else:
                if main is fails:
                    raise Wrong("the coroutine raised LookupError, and turns did not")
            if not loops[-1].is_closed():
                raise Wrong("the loop is still open: `close` it, in a `finally`")
    finally:
        EventLoop.when_made.remove(loops.append)
        for loop in loops:
            loop.close()


EXERCISE = Exercise(BEGIN, (_one, _some, _crowd, _timers, _closes))
