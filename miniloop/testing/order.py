"""Sets of futures and tasks in an order that is the same in every run.

The order of a set is that of the hashes, and the hash of an object is its address. `TaskGroup`,
`asyncio.wait` and many programs keep tasks in sets, and go through them to cancel or to wake. So
while schedules are run, a future or task of a loop under test has for its hash a number: how many
of its loop were hashed before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from miniloop.kernel import COMPILED
from miniloop.kernel.future import Future
from miniloop.testing.loop import LoopUnderTest

__all__ = ["repeatable_sets"]

_KEY = "_number_in_this_run"
_own_hash = object.__hash__
_depth = 0


@contextmanager
def repeatable_sets() -> Iterator[None]:
    """While this lasts, hashes of futures and tasks under test do not depend on addresses.

    Raises RuntimeError on a compiled build.
    """
    global _depth
    if COMPILED:
        raise RuntimeError(
            "this miniloop is compiled, and schedules need its files of Python: "
            "set MINILOOP_PURE=1 in the environment"
        )
    _depth += 1
    Future.__hash__ = _numbered_hash  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            del Future.__hash__


def _numbered_hash(future: Any) -> int:
    known: int | None = future.__dict__.get(_KEY)
    if known is not None:
        return known
    loop = getattr(future, "_loop", None)
    if not isinstance(loop, LoopUnderTest):
        return _own_hash(future)
    numbers = loop.__dict__.setdefault("_hashed", count(1))
    number: int = next(numbers)
    future.__dict__[_KEY] = number
    return number
