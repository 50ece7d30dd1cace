"""A loop for checks: time stands still while it works, and a sleep takes no real time.

So a solution that sleeps for an hour is checked in no time, and what it does is at an exact moment,
however busy the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from miniloop.kernel.poller import SelectorPoller
from miniloop.loop import EventLoop
from miniloop.study.check.exercise import Wrong

__all__ = ["Clock", "run"]

T = TypeVar("T")

_gather = asyncio.gather  # a check may shut it away


class Clock:
    """The time, in seconds from the start."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """What it is now."""
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let so many seconds pass, as work does that does not wait."""
        self.now += seconds


class _Poller(SelectorPoller):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        if timeout is None:
            raise Wrong("everybody waits, and nothing is left that could wake them")
        self._clock.pass_by(timeout)
        return super().wait(0)


def run(main: Callable[[Clock], Coroutine[Any, Any, T]]) -> T:
    """Run `main(clock)` on such a loop and return what it returns.

    Raises Wrong if something fails that nobody looks at, or if all tasks wait for ever.
    """
    clock = Clock()
    loop = EventLoop(clock=clock, poller=_Poller(clock))
    unheard: list[str] = []

    def note(_: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Wrong):
            unheard.append(str(error))
        else:
            unheard.append(f"the loop was told: {context.get('message')} ({error!r})")

    loop.set_exception_handler(note)
    try:
        result = loop.run_until_complete(main(clock))
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(_gather(*left, return_exceptions=True))
    finally:
        for task in asyncio.all_tasks(loop):  # of a solution that everybody waits in
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # private in typeshed
        loop.close()
    if unheard:
        raise Wrong(unheard[0])
    return result
