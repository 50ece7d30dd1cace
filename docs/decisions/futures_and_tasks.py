"""What the pages types-that-libraries-check.md, unseen-exceptions.md and all-tasks.md are based on.

    python docs/decisions/futures_and_tasks.py

Each figure is the least of many short runs, in nanoseconds: on a busy machine the least is nearest
to what the work itself costs. Sizes are in bytes, as sys.getsizeof gives them.
"""

from __future__ import annotations

import asyncio
import sys
import timeit
import weakref
from collections.abc import Callable
from typing import Any

SLOTS = (
    "_loop",
    "_state",
    "_result",
    "_exception",
    "_waiting",
    "_asyncio_future_blocking",
    "_log_traceback",
    "_cancel_message",
)
LOOP = object()


def _fill(future: Any) -> None:
    future._loop = LOOP
    future._state = "PENDING"
    future._result = None
    future._exception = None
    future._waiting = None
    future._asyncio_future_blocking = False
    future._log_traceback = False
    future._cancel_message = None


class Plain:
    """A class of its own."""

    __slots__ = (*SLOTS, "__weakref__")

    def __init__(self) -> None:
        _fill(self)


class Derived(asyncio.Future[Any]):
    """A subclass of the C type that overrides everything."""

    __slots__ = SLOTS

    def __init__(self) -> None:
        _fill(self)

    def __del__(self) -> None:  # the C type has a finalizer, which would look at its own fields
        pass


class Claiming(Plain):
    """A class of its own whose instances say that they are futures of asyncio's."""

    __slots__ = ()

    @property  # type: ignore[misc]  # writable in `object`
    def __class__(self) -> type:
        return asyncio.Future


class Finalized(Plain):
    """A class of its own with a finalizer."""

    __slots__ = ()

    def __del__(self) -> None:
        if self._log_traceback:
            raise AssertionError


def least(function: Callable[[], object], number: int = 20_000, repeat: int = 40) -> float:
    """Nanoseconds a call, in the best of `repeat` runs."""
    return min(timeit.repeat(function, number=number, repeat=repeat)) / number * 1e9


def measure_types() -> None:
    """Ways to satisfy `isinstance(future, asyncio.Future)`."""
    print("\nmake and drop a future        ns   bytes   isinstance of asyncio.Future")
    for kind in (Plain, Derived, Claiming, Finalized):
        one: Any = kind()
        print(
            f"{kind.__name__:24} {least(kind):7.0f} {sys.getsizeof(one):7}   "
            f"{isinstance(one, asyncio.Future)}"
        )
    loop = asyncio.new_event_loop()
    stock = asyncio.Future(loop=loop)
    print(
        f"{'asyncio.Future, in C':24} {least(loop.create_future):7.0f} "
        f"{sys.getsizeof(stock):7}   True"
    )
    loop.close()


def measure_registration() -> None:
    """Ways to have `asyncio.all_tasks()` find a task."""
    table: weakref.WeakSet[Any] = weakref.WeakSet()
    own: set[Any] = set()

    def by_weak_set() -> None:
        table.add(Plain())

    def by_own_set() -> None:
        one = Plain()
        own.add(one)
        own.discard(one)

    bare = least(Plain)
    print("\nmake a task known, and drop it    ns")
    print(f"{'a WeakSet, as asyncio does':32} {least(by_weak_set) - bare:5.0f}")
    print(f"{'a set that the loop has anyway':32} {least(by_own_set) - bare:5.0f}")


if __name__ == "__main__":
    print(f"CPython {sys.version.split()[0]}")
    measure_types()
    measure_registration()
