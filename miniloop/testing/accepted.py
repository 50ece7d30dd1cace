"""Checks of arguments: a wrong option, or a test that is not one, is refused before anything runs.

Otherwise the test would seem to fail or, worse, to pass: a limit that is not a number is never
reached, and zero schedules never fail.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from math import isnan
from numbers import Real
from typing import Any, cast

__all__ = [
    "NotATest",
    "check_number",
    "check_test",
    "check_whole",
    "check_world",
    "is_no_verdict",
    "start_test",
]


class NotATest(TypeError):
    """What was given is no coroutine function."""


def check_number(name: str, value: object, least: float = 0) -> None:
    """Raise TypeError or ValueError if this is no number, or one below `least`."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if isnan(value) or value < least:
        raise ValueError(f"{name} must be {least} or more, got {value!r}")


def check_whole(name: str, value: object, least: int | None = None) -> None:
    """Raise TypeError or ValueError if this is no whole number, or one below `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be {least} or more, got {value!r}")


def check_world(
    network: object, real_io: object, patch_time: object, until: object, seed: object
) -> None:
    """Check what `run` and `explore` have in common. Raises TypeError and ValueError."""
    if network is not None and (isinstance(network, type) or not hasattr(network, "owns")):
        raise TypeError(f"network must be a Network of miniloop.testing, got {network!r}")
    check_number("real_io", real_io)
    check_number("patch_time", patch_time)
    if until is not None:
        check_number("until", until)
    check_whole("seed", seed)


def check_test(test: Any) -> None:
    """Raise NotATest for what cannot be called."""
    if callable(test):
        return
    if asyncio.iscoroutine(test):
        name = getattr(test, "__qualname__", "the function")
        test.close()
        raise NotATest(
            "the test must be a coroutine function, which is called anew for each run, got a "
            f"coroutine: give {name}, not {name}()"
        )
    raise NotATest(f"the test must be a coroutine function, got {test!r}")


def start_test(test: Callable[[], Coroutine[Any, Any, Any]]) -> Coroutine[Any, Any, Any]:
    """Call the test. Raises NotATest if it gives no coroutine."""
    coroutine = cast("object", test())
    if not asyncio.iscoroutine(coroutine):
        name = getattr(test, "__qualname__", repr(test))
        raise NotATest(f"the test must be a coroutine function: {name}() gave {coroutine!r}")
    return coroutine


# These exceptions say that the test was skipped or the like. They are passed on unchanged to the
# tool that they are for. Only a module that the program has imported can have raised its exception.
_OF_TOOLS = (
    ("unittest", "SkipTest"),
    ("pytest", "skip.Exception"),
    ("pytest", "xfail.Exception"),
    ("pytest", "exit.Exception"),
    ("hypothesis.errors", "UnsatisfiedAssumption"),
    ("hypothesis.errors", "StopTest"),
)


def is_no_verdict(error: BaseException) -> bool:
    """Whether this is neither a failure of the test nor a success: it was skipped, say."""
    if isinstance(error, KeyboardInterrupt | NotATest):
        return True
    for module, path in _OF_TOOLS:
        found: Any = sys.modules.get(module)
        for name in path.split("."):
            found = getattr(found, name, None)
        if isinstance(found, type) and isinstance(error, found):
            return True
    return False
