"""The chain of awaits of a task: from its coroutine down to the future that it waits for.

A suspended coroutine has what it awaits (`cr_await`), a generator what it delegates to, and so on
down. Some links in between are made in C and have no such attribute, such as the step of an
asynchronous generator; the garbage collector knows what they refer to.

Nothing is instrumented, and nothing is changed: a frame is looked at where it stands.

The trap: a coroutine that is running has no `cr_await`. What it runs is on the stack of its thread,
so that is where the rest of the chain is to be found: see `running_frames`.
"""

from __future__ import annotations

import gc
import inspect
import os
import sys
import sysconfig
from dataclasses import dataclass
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any

__all__ = [
    "Link",
    "Place",
    "attributes_of",
    "chain",
    "has_begun",
    "is_of_the_program",
    "place_of",
    "running_frames",
]

# The kinds of links: the attribute with what it awaits, and the one with its frame.
_KINDS: dict[type, tuple[str, str]] = {
    CoroutineType: ("cr_await", "cr_frame"),
    GeneratorType: ("gi_yieldfrom", "gi_frame"),
    AsyncGeneratorType: ("ag_await", "ag_frame"),
}


@dataclass(frozen=True)
class Place:
    """A line of source: `str(place)` is `app.py:12 in fetch`, `path` the whole name of the file."""

    path: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.path)}:{self.line} in {self.function}"


@dataclass(frozen=True)
class Link:
    """One coroutine or generator of a chain, and its frame; `owner` is the object itself."""

    owner: Any
    frame: FrameType

    @property
    def function(self) -> tuple[str, str]:
        """Its module and its qualified name, as in `("asyncio.locks", "Lock.acquire")`."""
        return _module(self.frame), self.frame.f_code.co_qualname

    def is_of(self, *packages: str) -> bool:
        """Whether its code is in one of these packages."""
        return _module(self.frame).partition(".")[0] in packages


def chain(coro: Any) -> list[Link]:
    """The links from a task's coroutine to the innermost one, outermost first.

    It ends at an object that does not show what it awaits, such as a coroutine of Cython.
    """
    links: list[Link] = []
    while coro is not None:
        kind = _KINDS.get(type(coro))
        if kind is None:
            coro = _behind(coro)
            continue
        awaited, frame = kind
        if getattr(coro, frame) is None:
            break  # it has come to its end
        links.append(Link(coro, getattr(coro, frame)))
        coro = getattr(coro, awaited)
    return links


def _behind(awaitable: Any) -> Any:
    """The coroutine or generator that an awaitable made in C stands for; None if there is none."""
    for referent in gc.get_referents(awaitable):
        if type(referent) in _KINDS:
            return referent
    return None


def has_begun(coro: Any) -> bool:
    """False for a coroutine, or a generator in the place of one, that has not taken a step yet."""
    if isinstance(coro, CoroutineType):
        return inspect.getcoroutinestate(coro) != inspect.CORO_CREATED
    if isinstance(coro, GeneratorType):
        return inspect.getgeneratorstate(coro) != inspect.GEN_CREATED
    return True  # as far as one can see


def attributes_of(thing: Any) -> dict[str, Any]:
    """What is stored in an object; nothing if asking raises, as for an unbound proxy."""
    try:
        stored = object.__getattribute__(thing, "__dict__")
    except Exception:  # of a property of the program's
        return {}
    return stored if isinstance(stored, dict) else {}


def running_frames(thread: int | None, outermost: CodeType) -> list[FrameType]:
    """The frames that a loop's thread is running, outermost first: those within `outermost`.

    They end before the frames that look: those of this package, or a signal's handler. Empty if the
    thread is not inside of that code.
    """
    frame = sys._current_frames().get(thread) if thread is not None else None
    frames: list[FrameType] = []
    while frame is not None and frame.f_code is not outermost:
        if _module(frame).startswith("miniloop.study"):
            frames.clear()  # those above this one are what asks
        else:
            frames.append(frame)
        frame = frame.f_back
    return [] if frame is None else frames[::-1]


def place_of(frame: FrameType) -> Place:
    """The line on which a frame stands. One that has not begun stands on its first."""
    code: CodeType = frame.f_code
    return Place(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname)


def is_of_the_program(frame: FrameType) -> bool:
    """False for the standard library, for this package, and for what was installed."""
    path = frame.f_code.co_filename
    return not (
        path.startswith((*_LIBRARIES, "<frozen"))
        or f"{os.sep}site-packages{os.sep}" in path
        or f"{os.sep}dist-packages{os.sep}" in path  # Debian's
    )


# This package, and the standard library.
_LIBRARIES = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    sysconfig.get_path("stdlib") + os.sep,
    os.path.dirname(os.__file__) + os.sep,
)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "")
