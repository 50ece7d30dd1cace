"""Debug mode: other classes in the place of the usual ones.

In debug mode the loop makes its handles, futures and tasks here. They remember where they were
created, time what they run, and refuse what is wrong: a callback that is no callable, or a call
from a thread that is not the loop's. The usual classes do not know of debug mode, so it costs
nothing when it is off.

Invariant: what is made in debug mode behaves like what is made otherwise, but for checks and notes.

The trap: debug mode may be switched while the loop runs. Then things of both kinds are in the
queue, and those of the usual kind have no notes: check that a note exists before you read it.

Source: the CPython documentation, "Debug Mode".
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import threading
from collections.abc import Callable
from contextvars import Context
from types import FrameType
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.kernel.describe import describe_callback
from miniloop.kernel.future import Future
from miniloop.kernel.handle import (
    Handle,
    SharedHandle,
    TimerHandle,
    new_handle,
    new_shared_handle,
    new_timer,
)
from miniloop.kernel.origin import STACK_DEPTH, capture_stack, entrance
from miniloop.kernel.report import logger
from miniloop.kernel.task import Task

__all__ = [
    "DebugHandle",
    "OriginTracking",
    "check_callback",
    "checked_enqueue",
    "debug_by_default",
    "new_debug_eager_task",
    "new_debug_future",
    "new_debug_handle",
    "new_debug_shared_handle",
    "new_debug_task",
    "new_debug_timer",
]


def debug_by_default() -> bool:
    """True if the interpreter was asked for it: `-X dev` or `PYTHONASYNCIODEBUG`."""
    if sys.flags.dev_mode:
        return True
    return not sys.flags.ignore_environment and bool(os.environ.get("PYTHONASYNCIODEBUG"))


class _Traced(Handle):
    """What the handles of debug mode do in addition to the usual ones."""

    __slots__ = ()

    _cancelled_call: str  # what the call was, once it is cancelled

    def cancel(self) -> None:
        if self._callback is not None:
            self._cancelled_call = self._describe_call()  # type: ignore[misc]  # slot of subclasses
        super().cancel()

    def _run(self) -> None:
        run = super()._run
        started = self._loop.time()
        run()
        _warn_if_slow(self._loop, started, self)
        self = run = None  # type: ignore[assignment]  # as in Handle._run

    def _describe_call(self) -> str:
        if self._callback is None:
            return self._cancelled_call
        return describe_callback(self._callback, self._args)


class DebugHandle(_Traced):
    """A handle that knows where it was made and what it was to call, and times the call."""

    __slots__ = ("_cancelled_call", "_source_traceback")


class DebugSharedHandle(_Traced, SharedHandle):
    """One that another thread may cancel."""

    __slots__ = ("_cancelled_call", "_source_traceback")


class DebugTimerHandle(_Traced, TimerHandle):
    """A timer that does the same."""

    __slots__ = ("_cancelled_call", "_source_traceback")


class DebugTask(Task[Any]):
    """A task that times its steps."""

    __slots__ = ()

    def _run(self) -> None:
        loop = self._loop
        started = loop.time()
        super()._run()
        _warn_if_slow(loop, started, self)
        self = None  # type: ignore[assignment]  # as in Task._run


# A repr shows the name of the usual class, whose place they take.
DebugHandle.__name__ = DebugSharedHandle.__name__ = Handle.__name__
DebugTimerHandle.__name__ = TimerHandle.__name__
DebugTask.__name__ = Task.__name__


def _warn_if_slow(loop: Loop, started: float, what: object) -> None:
    elapsed = loop.time() - started
    if elapsed >= loop.slow_callback_duration:
        logger.warning("Executing %s took %.3f seconds", what, elapsed)


def new_debug_handle(
    callback: Callable[..., object], args: tuple[Any, ...], loop: Loop, context: Context
) -> Handle:
    """Make a handle."""
    frame = check_callback(callback)
    handle = new_handle(callback, args, loop, context, DebugHandle)
    handle._source_traceback = capture_stack(frame)
    return handle


def new_debug_shared_handle(
    callback: Callable[..., object], args: tuple[Any, ...], loop: Loop, context: Context
) -> Handle:
    """Make a handle for another thread."""
    frame = check_callback(callback)
    handle = new_shared_handle(callback, args, loop, context, DebugSharedHandle)
    handle._source_traceback = capture_stack(frame)
    return handle


def new_debug_timer(
    when: float,
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Loop,
    context: Context,
) -> TimerHandle:
    """Make a timer."""
    frame = check_callback(callback)
    _check_thread(loop)
    handle = new_timer(when, callback, args, loop, context, DebugTimerHandle)
    handle._source_traceback = capture_stack(frame)
    return handle


def new_debug_future(loop: Loop) -> Future[Any]:
    """Make a future: its own class notes where."""
    return Future(loop=loop)


def new_debug_task(loop: Loop, coro: Any, name: object, context: Context | None) -> Task[Any]:
    """Make a task."""
    _check_thread(loop)
    return DebugTask(coro, loop=loop, name=name, context=context)


def new_debug_eager_task(loop: Loop, coro: Any, name: object, context: Context | None) -> Task[Any]:
    """Make a task that takes its first step now."""
    _check_thread(loop)
    return DebugTask(coro, loop=loop, name=name, context=context, eager_start=True)


def check_callback(callback: Any) -> FrameType:
    """Raise TypeError if it is no callback; return the frame that passed it to the loop."""
    frame, method = entrance()
    if asyncio.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
        raise TypeError(f"coroutines cannot be used with {method}()")
    if not callable(callback):
        raise TypeError(f"a callable object was expected by {method}(), got {callback!r}")
    return frame


def checked_enqueue(loop: Loop, append: Callable[[Any], object]) -> Callable[[Any], None]:
    """The `enqueue` of a loop in debug mode.

    It refuses what comes from another thread, and looks at the handles that `call_soon` has made.
    """

    def enqueue(entry: Any) -> None:
        _check_thread(loop)
        if type(entry) is DebugHandle and not hasattr(entry, "_source_traceback"):
            entry._source_traceback = capture_stack(check_callback(entry._callback))
        append(entry)

    return enqueue


def _check_thread(loop: Loop) -> None:
    thread = loop._thread_id
    if thread is not None and thread != threading.get_ident():
        raise RuntimeError(
            "Non-thread-safe operation invoked on an event loop other than the current one"
        )


class OriginTracking:
    """Has coroutines remember where they were called, for "was never awaited" warnings."""

    __slots__ = ("_active", "_outer_depth")

    def __init__(self) -> None:
        self._active = False
        self._outer_depth = 0

    def switch(self, on: bool) -> None:
        """Turn it on or off, in the calling thread."""
        if on == self._active:
            return
        if on:
            self._outer_depth = sys.get_coroutine_origin_tracking_depth()
            sys.set_coroutine_origin_tracking_depth(STACK_DEPTH)
        else:
            sys.set_coroutine_origin_tracking_depth(self._outer_depth)
        self._active = on
