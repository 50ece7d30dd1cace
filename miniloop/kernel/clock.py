"""The clock of a loop, which a program may replace.

Tests of programs do so, to see a timeout strike without waiting for it:
`mock.patch.object(loop, "time", ...)`. A loop that calls `self.time()` whenever it looks at its
timers notices that by itself. Ours calls the clock directly, since a method in between would make
each call take at least half as long again, and it looks at its timers only when one can be due. So
it must be told.

Other tools freeze time for a whole program, by putting functions of theirs into the `time` module
(freezegun). A loop that took its clock from there while time stands still would sleep for ever. So
`monotonic` is the interpreter's own function, whatever stands in the module when we are imported.

Invariant: a replacement of `loop.time` is used at once; when it is deleted, the loop uses its own
clock again.

The trap: a replaced clock may leap between two turns, so the loop looks at its timers on each turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.machinery import BuiltinImporter
from importlib.util import module_from_spec
from types import BuiltinFunctionType

from miniloop.kernel.contract import CompleteLoop

__all__ = ["ReplaceableClock", "monotonic"]


def _find_monotonic() -> Callable[[], float]:
    """`time.monotonic` as the interpreter has it."""
    function: Callable[[], float] = time.monotonic
    if isinstance(function, BuiltinFunctionType):
        return function
    spec = BuiltinImporter.find_spec("time")
    if spec is None or spec.loader is None:
        return function  # an interpreter with a `time` of another kind
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    function = module.monotonic
    return function


# Seconds from an arbitrary start; never goes backwards.
monotonic = _find_monotonic()


class ReplaceableClock:
    """`loop.time`: what is set there is what the loop goes by, until it is deleted again.

    `method` is what the class of the loop shows under that name. The loop has a dictionary, an
    `own_clock` to go back to, and `use_clock`.
    """

    def __init__(self, method: Callable[..., float]) -> None:
        self._method = method

    def __get__(self, loop: CompleteLoop | None, owner: type) -> Callable[..., float]:
        if loop is None:
            return self._method
        clock: Callable[[], float] = loop.__dict__.get("time", loop.own_clock)
        return clock

    def __set__(self, loop: CompleteLoop, clock: Callable[[], float]) -> None:
        loop.__dict__["time"] = clock
        loop.use_clock(clock)

    def __delete__(self, loop: CompleteLoop) -> None:
        if loop.__dict__.pop("time", None) is None:
            raise AttributeError("the clock of this loop was not replaced")
        loop.use_clock(loop.own_clock)
