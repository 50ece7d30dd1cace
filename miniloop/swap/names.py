"""asyncio's own loop class, by every name that it has.

On POSIX `asyncio.SelectorEventLoop`, `asyncio.EventLoop` (from 3.13 on) and what the default policy
makes are one class, and one class of ours takes its place under all of these names. It takes a
selector as that one does, and uses it.

A subclass of it is a subclass of our loop, unless it overrides a private method of asyncio's loop,
which ours would never call. Such a class keeps asyncio's loop as its base, and one line on standard
error says so; with `--strict` that is an error.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from typing import Any

from miniloop.kernel.poller import SelectorPoller
from miniloop.loop import EventLoop
from miniloop.swap import report

__all__ = ["SelectorEventLoop", "replace"]

_UNIX = sys.modules["asyncio.unix_events"]
_STOCK: type = vars(_UNIX)["_UnixSelectorEventLoop"]
_PARTS = frozenset(EventLoop.__mro__)


def replace() -> None:
    """Put our class in the place of asyncio's, wherever asyncio has it."""
    for module in (asyncio, _UNIX):
        for name, value in list(vars(module).items()):
            if value is _STOCK:
                setattr(module, name, SelectorEventLoop)
    # What `asyncio.run`, `Runner`, `new_event_loop` and `get_event_loop` ask, up to Python 3.15.
    policy = vars(_UNIX).get("_UnixDefaultEventLoopPolicy")
    if policy is not None:
        policy._loop_factory = SelectorEventLoop
    else:
        asyncio.new_event_loop = asyncio.events.new_event_loop = SelectorEventLoop


class _AsyncioName(type):
    """The metaclass of our stand-in: it checks each subclass when that is made."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> Any:
        if private := _overridden(bases, namespace):
            what = (
                f"{namespace['__module__']}.{name} overrides {', '.join(private)} of asyncio's loop"
            )
            if SelectorEventLoop in bases:
                report.object_to(what, "it keeps that loop")
                bases = tuple(_STOCK if base is SelectorEventLoop else base for base in bases)
                return type(_STOCK)(name, bases, namespace, **options)
            # What it derives from is a miniloop already.
            report.object_to(what, "miniloop does not call that")
        return super().__new__(cls, name, bases, namespace, **options)

    def __subclasscheck__(cls, other: type) -> bool:
        if super().__subclasscheck__(other):
            return True
        return cls is SelectorEventLoop and issubclass(other, _STOCK)

    def __instancecheck__(cls, instance: object) -> bool:
        return issubclass(type(instance), cls)


def _overridden(bases: tuple[type, ...], namespace: dict[str, Any]) -> list[str]:
    """The private methods of asyncio's loop that a class, or what it mixes in, overrides."""
    if bases == (EventLoop,):
        return []  # the stand-in itself, as it is made
    mixed_in = {one for base in bases for one in base.__mro__}.difference(_PARTS)
    names = set(namespace).union(*map(vars, mixed_in))
    return sorted(
        name
        for name in names
        if name.startswith("_")
        and not name.startswith("__")
        and callable(getattr(_STOCK, name, None))
        and not hasattr(asyncio.AbstractEventLoop, name)
    )


class SelectorEventLoop(EventLoop, metaclass=_AsyncioName):
    """A miniloop by the name of asyncio's loop.

    It waits with `selector`, as asyncio's does, or with the best of the platform if that is None.
    """

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(poller=None if selector is None else SelectorPoller(selector))
