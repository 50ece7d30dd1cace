"""uvloop and similar libraries: a program that asks for one of them by name gets a miniloop.

The library must be installed: if it is not, importing it fails as usual, and a program that can do
without it goes on. It is imported as usual. Then its loop class is replaced, and the classes of the
library that it derives from. So whatever makes one (`new_event_loop`, `run`, `install`, its policy)
makes ours, and is otherwise unchanged.

One line on standard error says so, once in each process; with `--strict` it is an error.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from miniloop.loop import EventLoop
from miniloop.swap import report

__all__ = ["replace"]

# What they call their loop: uvloop and winloop, rloop, zuvloop.
_CLASSES = ("Loop", "RLoop", "EventLoop")


def replace(library: ModuleType) -> None:
    """Put our loop in the place of the library's, wherever the library has it."""
    announce = functools.partial(_announce, library.__name__)
    inside = library.__name__ + "."
    ours: dict[Any, type[EventLoop]] = {}
    for name in _CLASSES:
        theirs = getattr(library, name, None)
        if isinstance(theirs, type) and not issubclass(theirs, EventLoop):
            stand_in = _stand_in(library.__name__, name, announce)
            for part in theirs.__mro__:  # uvloop's derives from one in `uvloop.loop`
                if f"{part.__module__}.".startswith(inside):
                    ours[part] = stand_in
    for module in [
        library,
        *(sys.modules[name] for name in sys.modules if name.startswith(inside)),
    ]:
        for name, value in list(vars(module).items()):
            if isinstance(value, type) and value in ours:
                setattr(module, name, ours[value])
    with warnings.catch_warnings():
        # What is deprecated may say so when it is looked up; it says so again when it is called.
        warnings.simplefilter("ignore", DeprecationWarning)
        install = getattr(library, "install", None)
    if install is not None:
        vars(library)["install"] = _after(announce, install)


def _stand_in(library: str, name: str, announce: Callable[[], None]) -> type[EventLoop]:
    class Loop(EventLoop):
        def __init__(self) -> None:
            announce()
            super().__init__()

    Loop.__name__ = Loop.__qualname__ = name
    Loop.__doc__ = f"A miniloop by the name of {library}.{name}."
    return Loop


def _after(announce: Callable[[], None], install: Callable[[], Any]) -> Callable[[], Any]:
    @functools.wraps(install)
    def announce_and_install() -> Any:
        announce()
        return install()

    return announce_and_install


def _announce(library: str) -> None:
    report.object_to(f"the program asks for {library}", "it gets a miniloop")
