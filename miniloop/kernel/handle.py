"""Handles: a callback, its arguments and its context, waiting for their turn.

A `Handle` is what `call_soon` gives back. It is also an *entry*: something that the ready queue
holds and that the scheduler runs by calling `_run()`. A `Task` is the other kind of entry; the
scheduler does not ask which of the two it has.

Invariants:

1. `_run` passes an ordinary exception to the loop's exception handler. `SystemExit` and
   `KeyboardInterrupt` go on and end the run. So does an exception of a callback of the loop's own
   that raises nothing by itself (`passes_on`): the handler of a signal raised it.
2. A cancelled handle stays where it is, in the ready queue or among the timers, and does nothing
   when its turn comes. Taking it out of the middle of a queue would cost more than skipping it.

The one trap: `cancel` drops the callback and its arguments at once, because they often keep large
things alive. So `_callback is None` *is* the cancelled state; there is no second flag to disagree.
"""

from __future__ import annotations

import asyncio
import sys
from _thread import RLock
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from miniloop.kernel.contract import InnerHandle, Loop
from miniloop.kernel.describe import describe_callback, describe_source
from miniloop.kernel.exits import EXITS

if TYPE_CHECKING:
    from traceback import StackSummary

    # What `isinstance` says at run time, by way of `__class__`, type checkers read here.
    _Base = asyncio.Handle
else:
    _Base = object

__all__ = [
    "Handle",
    "SharedHandle",
    "TimerHandle",
    "is_repeatable",
    "new_handle",
    "new_shared_handle",
    "new_timer",
    "passes_on",
    "repeatable",
]

# As in CPython: from 3.13 on the arguments, which may be secret, are shown in debug mode only.
_SHOW_ARGUMENTS = sys.version_info < (3, 13)


_F = TypeVar("_F", bound=Callable[..., object])

_REPEATABLE: set[object] = set()


def passes_on(callback: _F) -> _F:
    """Mark a callback of the loop's own that raises nothing by itself: see invariant 1."""
    vars(callback)["passes_on"] = True
    return callback


def repeatable(callback: _F) -> _F:
    """Mark a callback of the loop's own that can be called again, and then does the rest.

    It is called again if the handler of a signal has raised an exception in it: see `recovery`.
    """
    _REPEATABLE.add(callback)
    return callback


def is_repeatable(callback: Any) -> bool:
    """Whether it is a method that is marked so."""
    # Asking a function for an attribute that it does not have takes twenty times as long.
    return getattr(callback, "__func__", None) in _REPEATABLE


class Handle(_Base):
    """One scheduled call, as returned by `call_soon` and `call_soon_threadsafe`.

    Source: the CPython documentation, "Callback Handles".
    """

    __slots__ = ("__weakref__", "_args", "_callback", "_context", "_loop")

    _callback: Callable[..., object] | None
    _args: tuple[Any, ...]
    _loop: Loop
    _context: Context

    if TYPE_CHECKING:

        def __init__(self) -> None: ...  # only `object`'s, at run time: see `new_handle`

    # Where the handle was made; `DebugHandle` keeps a real one.
    _source_traceback: StackSummary | None = None

    # `isinstance(handle, asyncio.Handle)` holds: see docs/decisions/types-that-libraries-check.md.
    @property  # type: ignore[misc]  # writable in `object`
    def __class__(self) -> type:
        return asyncio.Handle

    def cancel(self) -> None:
        """Make the call not happen. Doing it twice, or after the call, does nothing."""
        self._callback = None
        self._args = None  # type: ignore[assignment]  # never read again

    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._callback is None

    @property  # what asyncio calls it, and libraries read
    def _cancelled(self) -> bool:  # type: ignore[override]  # writable in asyncio's stubs
        return self._callback is None

    def get_context(self) -> Context:
        """The context in which the callback runs (`contextvars`, PEP 567)."""
        return self._context

    def _run(self) -> None:
        # In this order: without a GIL another thread may cancel in between, and `cancel` clears the
        # callback first.
        args = self._args
        callback = self._callback
        if callback is None:
            return
        count = len(args)
        try:
            # `run(callback, *args)` builds a list and a tuple for each call; spelled out, the
            # common cases take half of the time (60 to 82 ns instead of 110 to 158).
            if count == 0:
                self._context.run(callback)
            elif count == 1:
                self._context.run(callback, args[0])
            elif count == 2:
                self._context.run(callback, args[0], args[1])
            elif count == 3:
                self._context.run(callback, args[0], args[1], args[2])
            else:
                self._context.run(callback, *args)
        except EXITS:
            raise
        except BaseException as exc:
            self._report(exc)
        # An exception of the callback refers to this frame, so this frame must refer to nothing.
        self = callback = args = None  # type: ignore[assignment]  # never read again

    def _wake(self, future: Any) -> None:
        """Become ready because `future` is done: what `add_done_callback` waits for."""
        self._args = (future,)
        self._loop.enqueue(self)

    def _report(self, exc: BaseException) -> None:
        if getattr(self._callback, "passes_on", False) is True:
            raise exc
        call = self._describe_call() or "(cancelled while it ran)"
        context: dict[str, Any] = {
            "message": f"Exception in callback {call}",
            "exception": exc,
            "handle": self,
        }
        if self._source_traceback:
            context["source_traceback"] = self._source_traceback
        self._loop.call_exception_handler(context)

    def _describe_call(self) -> str:
        if self._callback is None:
            return ""
        return describe_callback(self._callback, self._args, show_arguments=_SHOW_ARGUMENTS)

    def _describe(self, *details: str) -> list[str]:
        parts = ["cancelled"] if self._callback is None else []
        parts += details
        parts += filter(None, [self._describe_call()])
        return parts + describe_source(self._source_traceback)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' '.join(self._describe())}>"


def new_handle(
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Loop,
    context: Context,
    kind: type[Handle] = Handle,
) -> Handle:
    """Make a handle.

    The class has no `__init__`: a call that passes nothing, and a maker that fills the slots, take
    a tenth less time than a call that passes four arguments on.
    """
    handle = kind()
    handle._callback = callback
    handle._args = args
    handle._loop = loop
    handle._context = context
    return handle


if sys.version_info >= (3, 14):

    class SharedHandle(Handle):
        """A call from `call_soon_threadsafe`, which another thread may cancel at any moment.

        `cancel` waits for the end of a call that has begun, unless it is that call which cancels:
        when it returns, the callback does not run, now or later.
        """

        __slots__ = ("_lock",)

        _lock: RLock

        def cancel(self) -> None:
            """Make the call not happen, or wait for its end."""
            with self._lock:
                super().cancel()

        def cancelled(self) -> bool:
            """True once `cancel` was called."""
            with self._lock:
                return super().cancelled()

        def _run(self) -> None:
            with self._lock:
                _begun = True  # what comes before may be interrupted, and is done again: `recovery`
                Handle._run(self)
            self = None  # type: ignore[assignment]  # as in Handle._run

    SharedHandle.__name__ = Handle.__name__  # in a repr

    def new_shared_handle(
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: Loop,
        context: Context,
        kind: type[SharedHandle] = SharedHandle,
    ) -> Handle:
        """Make a handle for `call_soon_threadsafe`."""
        handle = kind()
        handle._callback = callback
        handle._args = args
        handle._loop = loop
        handle._context = context
        handle._lock = RLock()
        return handle

else:  # asyncio's do not wait either
    SharedHandle = Handle
    new_shared_handle = new_handle


if TYPE_CHECKING:

    class _TimerBase(Handle, asyncio.TimerHandle):
        pass
else:
    _TimerBase = Handle


class TimerHandle(_TimerBase):
    """A call scheduled for a time, as returned by `call_later` and `call_at`."""

    __slots__ = ("_scheduled", "_when")

    _when: float
    _scheduled: bool  # True while the timer queue holds it

    @property  # type: ignore[misc]  # writable in `object`
    def __class__(self) -> type:
        return asyncio.TimerHandle

    def when(self) -> float:
        """The deadline, in seconds on the loop's own clock (`loop.time()`)."""
        return self._when

    def cancel(self) -> None:
        """Make the call not happen."""
        if self._callback is None:
            return
        self._callback = None
        self._args = None  # type: ignore[assignment]  # never read again
        if self._scheduled:
            self._loop.timers.note_cancelled()

    def _describe(self, *details: str) -> list[str]:
        return super()._describe(f"when={self._when}", *details)

    # Timers are ordered and compared by deadline, as the standard library's are.
    def __hash__(self) -> int:
        return hash(self._when)

    def __lt__(self, other: object) -> bool:
        return self._when < other._when if isinstance(other, TimerHandle) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._when <= other._when if isinstance(other, TimerHandle) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._when > other._when if isinstance(other, TimerHandle) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._when >= other._when if isinstance(other, TimerHandle) else NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TimerHandle):
            return NotImplemented
        return (self._when, self._callback, self._args) == (
            other._when,
            other._callback,
            other._args,
        )


def new_timer(
    when: float,
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Loop,
    context: Context,
    kind: type[TimerHandle] = TimerHandle,
) -> TimerHandle:
    """Make a handle for `call_later` and `call_at`."""
    handle = kind()
    handle._callback = callback
    handle._args = args
    handle._loop = loop
    handle._context = context
    handle._when = when
    handle._scheduled = False
    return handle


if TYPE_CHECKING:
    _INNER: type[InnerHandle] = Handle  # it has what others use
