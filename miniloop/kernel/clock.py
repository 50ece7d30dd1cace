"""The clock of a loop, which a program may replace.

Tests of programs do so, to see a timeout strike without waiting for it:
`mock.patch.object(loop, "time", ...)`. On a loop that asks `self.time()` whenever it looks at its
timers that comes for free. Ours asks the clock itself, since a method in between makes each look
half as dear again, or more, and looks at its timers only when one can be due. So it must be told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["ReplaceableClock"]


class ReplaceableClock:
    """`loop.time`: what is set there is what the loop goes by, until it is deleted again.

    `method` is what the class of the loop shows under that name. The loop has a dictionary, an
    `own_clock` to go back to, and `use_clock`.
    """

    def __init__(self, method: Callable[..., float]) -> None:
        self._method = method

    def __get__(self, loop: Any, owner: type) -> Callable[..., float]:
        if loop is None:
            return self._method
        clock: Callable[[], float] = loop.__dict__.get("time", loop.own_clock)
        return clock

    def __set__(self, loop: Any, clock: Callable[[], float]) -> None:
        loop.__dict__["time"] = clock
        loop.use_clock(clock)

    def __delete__(self, loop: Any) -> None:
        if loop.__dict__.pop("time", None) is None:
            raise AttributeError("the clock of this loop was not replaced")
        loop.use_clock(loop.own_clock)
