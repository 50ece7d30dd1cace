"""What a task holds: the context managers that it has entered and not left.

`asyncio.Lock` does not know who holds it, and neither does a semaphore. But the holder has entered
`async with lock`, and as long as it is inside, its frame keeps the lock's `__aexit__` on its
stack. Frames do not show their stacks, but they show them to the garbage collector, in order:

    up to 3.13   the method, bound to the lock
    from 3.14    the function, and behind it the lock

A task that waits in `__aenter__` has the `__aexit__` on its stack already. Which of the blocks have
been entered, and at which lines, is read from the code: see `blocks`.

Suspended generators to which the frame refers are searched as well, such as that of an
`@asynccontextmanager`, and so is the stack of an `AsyncExitStack`.

The trap: `await lock.acquire()` leaves nothing on the stack. The holder of such a lock is
unknown, and the report says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import (
    AsyncGeneratorType,
    BuiltinMethodType,
    GeneratorType,
    MemberDescriptorType,
    MethodType,
    WrapperDescriptorType,
)
from typing import Any

from miniloop.study.awaiting import (
    Link,
    Place,
    attributes_of,
    chain,
    is_of_the_program,
    place_of,
)
from miniloop.study.blocks import lines_of_open_blocks, managers_by_name

__all__ = ["Hold", "holds_of"]

_EXITS = ("__aexit__", "__exit__")
_IN_C = WrapperDescriptorType
_GENERATORS = (AsyncGeneratorType, GeneratorType)


@dataclass(frozen=True)
class Hold:
    """A context manager that a task is inside of.

    `entered` is the place of the `with`, in the program's own code if some of that is on the way.
    """

    manager: Any
    entered: Place

    def gives(self) -> list[Any]:
        """What is held by that: the manager, and what it has as an attribute, such as a lock."""
        attributes = list(attributes_of(self.manager).values())
        return [self.manager, *(one for one in attributes if hasattr(type(one), "release"))]

    def deadline(self) -> float | None:
        """When it gives up, on the loop's clock, if it is a timeout: asyncio's or a library's.

        async-timeout and anyio both call it `_deadline`.
        """
        if type(self.manager) is asyncio.Timeout:
            return self.manager.when()
        deadline = attributes_of(self.manager).get("_deadline")
        slot = vars(type(self.manager)).get("_deadline")
        if type(slot) is MemberDescriptorType and deadline is None:
            try:
                deadline = slot.__get__(self.manager)
            except AttributeError:
                return None  # it is empty
        return deadline if isinstance(deadline, float) and math.isfinite(deadline) else None


def holds_of(links: list[Link]) -> list[Hold]:
    """What the coroutines of a chain hold, outermost first."""
    found: list[Hold] = []
    seen: set[int] = set()
    outer: Place | None = None
    for link in links:
        found += _holds_of_one(link, None if is_of_the_program(link.frame) else outer, seen)
        if is_of_the_program(link.frame):
            outer = place_of(link.frame)
    return found


def _holds_of_one(link: Link, instead: Place | None, seen: set[int]) -> Iterator[Hold]:
    """`instead` is the place to name for a block in a library's code, if there is a better one."""
    if id(link.owner) in seen:
        return
    seen.add(id(link.owner))
    here = place_of(link.frame)
    referents = gc.get_referents(link.owner)
    managers = list(_managers(referents))
    lines = lines_of_open_blocks(link.frame.f_code, link.frame.f_lasti)
    if len(managers) < len(lines):  # it runs, and does not show its stack
        blocks = list(managers_by_name(link.frame))
    else:
        # A block that is being entered is on the stack, and not yet in the table of the code.
        blocks = list(zip(managers, lines, strict=False))
    for manager, line in blocks:
        place = instead or Place(here.path, line, here.function)
        yield Hold(manager, place)
        yield from _inside(manager, place, seen)
    for referent in referents:
        # A generator that the frame iterates over, or keeps.
        if type(referent) in _GENERATORS:
            yield from _suspended(referent, instead or here, seen)


def _managers(referents: list[Any]) -> Iterator[Any]:
    """The context managers whose exits are on the stack, outermost first."""
    for number, referent in enumerate(referents):
        # By their types, as objects of the program may answer, or fail, when they are asked.
        kind = type(referent)
        if not ("function" in kind.__name__ or "method" in kind.__name__ or kind is _IN_C):
            continue
        name = getattr(referent, "__name__", None)
        if name not in _EXITS:
            continue
        if kind in (MethodType, BuiltinMethodType):
            yield referent.__self__
        elif number + 1 < len(referents):
            behind = referents[number + 1]
            if getattr(type(behind), name, None) is referent:
                yield behind


def _inside(manager: Any, place: Place, seen: set[int]) -> Iterator[Hold]:
    """What else a task holds that is inside of `manager`."""
    if issubclass(type(manager), contextlib.AsyncExitStack | contextlib.ExitStack):
        callbacks = attributes_of(manager).get("_exit_callbacks", ())
        for inner in _managers([callback for _, callback in callbacks]):
            yield Hold(inner, place)
            yield from _inside(inner, place, seen)
    generator = attributes_of(manager).get("gen")  # of contextlib's decorators
    if type(generator) in _GENERATORS:
        yield from _suspended(generator, place, seen)


def _suspended(generator: Any, place: Place, seen: set[int]) -> Iterator[Hold]:
    for link in chain(generator):
        yield from _holds_of_one(link, None if is_of_the_program(link.frame) else place, seen)
