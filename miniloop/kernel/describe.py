"""The text in the `repr` of handles, futures and tasks.

Nothing here makes a decision; it is a file of its own so that the others are shorter.

Invariant: describing a thing changes nothing in it.

The trap: a coroutine that has not started, or that runs, has no current line, so `f_lineno` may be
None. A callback may be a partial, or an object without a name.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
import traceback
from collections.abc import Callable, Iterable
from typing import Any

__all__ = [
    "describe_callback",
    "describe_callbacks",
    "describe_coroutine",
    "describe_source",
]


def _location(function: Callable[..., object]) -> str:
    """Where the function was defined, ` at file:line`; empty for one that is not Python's."""
    while isinstance(function, functools.partial | functools.partialmethod):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    return "" if code is None else f" at {code.co_filename}:{code.co_firstlineno}"


def _call_text(
    function: Callable[..., object],
    args: Iterable[Any],
    kwargs: dict[str, Any],
    show_arguments: bool,
) -> str:
    given = [reprlib.repr(arg) for arg in args] if show_arguments else []
    if show_arguments:
        given += [f"{name}={reprlib.repr(value)}" for name, value in kwargs.items()]
    own = f"({', '.join(given)})"
    if isinstance(function, functools.partial):
        inner = _call_text(function.func, function.args, function.keywords, show_arguments)
        return inner + own
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return f"{name or repr(function)}{own}"


def describe_callback(
    callback: Callable[..., object], args: Iterable[Any], *, show_arguments: bool = True
) -> str:
    """A callback, its arguments if they may be shown, and where it was defined, in one line."""
    return _call_text(callback, args, {}, show_arguments) + _location(callback)


def describe_callbacks(callbacks: list[Any]) -> str:
    """The callbacks of a future in one line; beyond three only the first and last are shown."""
    texts = []
    for entry in callbacks:
        if isinstance(entry, tuple):
            texts.append(describe_callback(entry[0], ()))
        else:  # a task that the future will wake
            texts.append(f"{type(entry).__name__}.wakeup({entry.get_name()!r})")
    if len(texts) > 3:
        texts[1:-1] = [f"<{len(texts) - 2} more>"]
    return f"cb=[{', '.join(texts)}]"


def describe_source(stack: traceback.StackSummary | None) -> list[str]:
    """Where a traced object was created, as a part for its repr; nothing if it was not traced."""
    if not stack:
        return []
    frame = stack[-1]
    return [f"created at {frame.filename}:{frame.lineno}"]


def describe_coroutine(coro: Any) -> str:
    """A coroutine (or generator, or an object that behaves like one) and where it stands."""
    name = getattr(coro, "__qualname__", None) or getattr(coro, "__name__", None)
    text = f"{name}()" if name else f"<{type(coro).__name__} without __name__>()"
    running = getattr(coro, "cr_running", None) or getattr(coro, "gi_running", None)
    code = getattr(coro, "cr_code", None) or getattr(coro, "gi_code", None)
    if running:
        text += " running"
    if code is None:
        return text
    frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
    if frame is not None:
        # A coroutine that has not started, or that runs, has no current line: f_lineno may be None.
        line = frame.f_lineno or code.co_firstlineno
        return f"{text} {'at' if running else 'running at'} {code.co_filename}:{line}"
    return f"{text} done, defined at {code.co_filename}:{code.co_firstlineno}"
