"""From the name of an event loop to a function that makes one.

This is the only file of the crawler that knows miniloop.
"""

import asyncio
import importlib
import sys
from collections.abc import Callable

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_NAMED = {
    "miniloop": "miniloop:new_event_loop",
    # Named by its class: asyncio.new_event_loop may have been replaced by another loop's policy.
    "asyncio": "asyncio:"
    + ("ProactorEventLoop" if sys.platform == "win32" else "SelectorEventLoop"),
    "uvloop": "uvloop:new_event_loop",
}


class UnknownLoop(Exception):
    """The name stands for no event loop that can be made here."""


def loop_factory(name: str) -> LoopFactory:
    """The factory for ``miniloop``, ``asyncio``, ``uvloop`` or ``module:factory``."""
    module_name, colon, factory_name = _NAMED.get(name, name).partition(":")
    if not (module_name and colon and factory_name):
        known = ", ".join(_NAMED)
        raise UnknownLoop(f"the loop must be one of {known} or module:factory, got {name!r}")
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except ImportError as error:
        raise UnknownLoop(f"cannot import {module_name} for the loop {name!r}: {error}") from error
    except AttributeError as error:
        raise UnknownLoop(f"the module {module_name} has no {factory_name}") from error
    if not callable(factory):
        raise UnknownLoop(f"{module_name}:{factory_name} is not a function that makes a loop")
    made: LoopFactory = factory
    return made if name in _NAMED else _checked(made, name)


def _checked(factory: LoopFactory, name: str) -> LoopFactory:
    """The same, but for an error in words if it makes no loop."""

    def make() -> asyncio.AbstractEventLoop:
        try:
            loop = factory()
        except Exception as error:
            raise UnknownLoop(f"{name} made no loop: {type(error).__name__}: {error}") from error
        if not isinstance(loop, asyncio.AbstractEventLoop):
            raise UnknownLoop(f"{name} must make an event loop, and made {loop!r}")
        return loop

    return make
