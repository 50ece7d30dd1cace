"""Future: a result that does not exist yet, and the entries that wait for it.

    PENDING ──set_result────▶ FINISHED   `_result`
       │  └───set_exception─▶ FINISHED   `_exception`
       └──────cancel────────▶ CANCELLED  `_exception`, once made: the CancelledError

There is no way back, and every arrow ends in `_wake_waiting`.

Invariants:

1. `_waiting` is None, or the one entry that waits, or a list of entries. A future that is done has
   none. (Nearly every future is awaited once. A list for one entry would be one more object to
   make, and one more for the garbage collector to look at.)
2. A callback never runs inside `set_result`: it is queued.
3. Callbacks run in the order in which they were added, and each in its own context.

Why it is fast: what waits is an *entry*, which the ready queue can hold. A task that awaits this
future waits as itself; a callback waits as a handle, made when it was added. To wake an entry is to
queue it: no handle, no closure and no copy of a context is made then.

The trap: an exception that nobody looks at must be reported. A failed future carries an
`UnseenException`, which is disarmed when somebody looks at the exception. If the future is
collected before that, it makes the report: see `last_words`.
"""

from __future__ import annotations

import asyncio
import reprlib
from asyncio import CancelledError, InvalidStateError, events
from collections.abc import Callable, Generator
from contextvars import Context, copy_context
from types import GenericAlias, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from miniloop.kernel.awaiters import awaiters
from miniloop.kernel.contract import InnerFuture, Loop
from miniloop.kernel.describe import describe_callbacks, describe_source
from miniloop.kernel.exits import EXITS
from miniloop.kernel.handle import Handle
from miniloop.kernel.last_words import UnseenException
from miniloop.kernel.origin import origin

if TYPE_CHECKING:
    from traceback import StackSummary

    # What `isinstance` says at run time, by way of `__class__`, type checkers read here.
    _Base = asyncio.Future
else:
    _Base = Generic

__all__ = [
    "AWAIT_CODE",
    "CANCELLED",
    "FINISHED",
    "PENDING",
    "Future",
    "fill_future",
    "new_future",
]

PENDING = "PENDING"
CANCELLED = "CANCELLED"
FINISHED = "FINISHED"

T = TypeVar("T")

_allocate = object.__new__


class Future(_Base[T]):
    """A result that will be there later. Not safe to use from other threads.

    Source: the CPython documentation, "Futures".
    """

    # What every future needs is in slots.
    __slots__ = (
        "__dict__",  # programs hang names, spans and deadlines on futures and tasks
        "__weakref__",
        "_asyncio_future_blocking",
        "_exception",
        "_loop",
        "_result",
        "_state",
        "_waiting",
    )
    # CPython 3.14 would keep a place in each future, beside its slots, for every name that a method
    # here assigns: the compiler lists them in the class, unless that name is the module's.
    global __static_attributes__

    _loop: Loop  # type: ignore[assignment]  # less than an AbstractEventLoop: what we ask of it
    _state: str
    _result: T | None
    _exception: BaseException | None
    _waiting: Any

    # True from when `await` yields the future until the task has seen it. The name is asyncio's
    # protocol for futures of any make: see "Extending" in the CPython documentation.
    _asyncio_future_blocking: bool

    # What only few futures need is in the dictionary of those few.
    _traceback: TracebackType | None = None  # of `_exception`, as it was when it came
    _unseen: UnseenException | None = None  # as long as nobody has looked at `_exception`
    _cancel_message: Any = None
    _source_traceback: StackSummary | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make a future that is pending, even if a subclass does not call our `__init__`."""
        future = _allocate(cls)
        future._state = PENDING
        return future

    def __init__(self, *, loop: Any = None) -> None:
        if hasattr(self, "_loop"):
            raise RuntimeError(f"{self!r} is already initialized")
        fill_future(self, loop)
        if loop is None:
            loop = events.get_event_loop()
            self._loop = loop
        if self._loop.get_debug():
            self._source_traceback = origin()

    __class_getitem__: Any = classmethod(GenericAlias)

    # `isinstance(future, asyncio.Future)` holds: see docs/decisions/types-that-libraries-check.md.
    @property  # type: ignore[misc]  # writable in `object`
    def __class__(self) -> type:
        return asyncio.Future

    # Reading the outcome.

    def get_loop(self) -> Any:
        """The loop this future belongs to.

        Raises RuntimeError if a subclass did not call `Future.__init__`.
        """
        try:
            return self._loop
        except AttributeError:
            raise RuntimeError("Future object is not initialized.") from None

    def done(self) -> bool:
        """True once there is a result or an exception, or the future was cancelled."""
        return self._state is not PENDING

    def cancelled(self) -> bool:
        """True if the future was cancelled."""
        return self._state is CANCELLED

    def result(self) -> T:
        """The result; raises the exception if there is one.

        Raises CancelledError if the future was cancelled, InvalidStateError if it is not done.
        """
        if self._state is FINISHED:
            exception = self._exception
            if exception is None:
                return self._result  # type: ignore[return-value]  # a T, since it is finished
            if self._unseen is not None:
                self._mark_seen()
            try:
                raise exception.with_traceback(self._traceback)
            finally:
                # The traceback holds this frame, which must not hold what holds the traceback.
                self = exception = None  # type: ignore[assignment]  # never read again
        if self._state is CANCELLED:
            raise self._make_cancelled_error()
        raise InvalidStateError("Result is not ready.")

    def exception(self) -> BaseException | None:
        """The exception, or None if there is a result.

        Raises CancelledError if the future was cancelled, InvalidStateError if it is not done.
        """
        if self._state is FINISHED:
            exception = self._exception
            if exception is not None and self._unseen is not None:
                self._mark_seen()
            return exception
        if self._state is CANCELLED:
            raise self._make_cancelled_error()
        raise InvalidStateError("Exception is not set.")

    # Setting the outcome.

    def set_result(self, result: T, /) -> None:
        """Finish with a result. Raises InvalidStateError if the future is done."""
        if self._state is not PENDING:
            raise InvalidStateError(f"{self._state}: {self!r}")
        self._result = result
        self._state = FINISHED
        waiting = self._waiting
        if waiting is None:
            return
        # As `_wake_waiting` does, without the call, which would take 3 % of the instructions of a
        # future that is made, finished and awaited.
        self._waiting = None
        try:
            if type(waiting) is list:
                for entry in waiting:
                    entry._wake(self)
            else:
                waiting._wake(self)
        except EXITS:
            self._wake_rest(waiting)
            raise

    def set_exception(self, exception: type[BaseException] | BaseException, /) -> None:
        """Finish with an exception, given as an instance or a class.

        Raises InvalidStateError if the future is done, TypeError for what is no exception or is
        StopIteration, which a coroutine cannot tell from its own end (it arrives as RuntimeError).
        """
        if self._state is not PENDING:
            raise InvalidStateError(f"{self._state}: {self!r}")
        if isinstance(exception, type):
            exception = exception()
        if not isinstance(exception, BaseException):
            raise TypeError(f"exception must be an exception or a class of one, got {exception!r}")
        if isinstance(exception, StopIteration):
            carrier = RuntimeError(
                "StopIteration interacts badly with generators and cannot be raised into a Future"
            )
            carrier.__cause__ = carrier.__context__ = exception
            exception = carrier
        self._fail(exception)

    def _fail(self, exception: BaseException) -> None:
        """Finish with an exception: what `set_exception` does when it has checked."""
        self._exception = exception
        self._traceback = exception.__traceback__
        self._state = FINISHED
        self._unseen = UnseenException(self)
        if self._waiting is not None:
            self._wake_waiting()

    def cancel(self, msg: Any = None) -> bool:
        """Cancel, with an optional message for the CancelledError. False if it was done already."""
        if self._state is not PENDING:
            if self._exception is not None and self._unseen is not None:
                self._mark_seen()
            return False
        if msg is not self._cancel_message:
            self._cancel_message = msg
        self._state = CANCELLED
        if self._waiting is not None:
            self._wake_waiting()
        return True

    def _make_cancelled_error(self) -> CancelledError:
        error = self._exception
        # `gather` asks its last child for one, even if that child was not cancelled.
        if error is not None and self._state is CANCELLED:
            # The one that ended the coroutine, with its traceback. It is given away only once:
            # kept here, it would hold the frames that hold this future.
            self._exception = None
            assert isinstance(error, CancelledError)
            return error
        message = self._cancel_message
        return CancelledError() if message is None else CancelledError(message)

    def _failure(self) -> BaseException:
        """The exception that awaiting this future raises, which failed or was cancelled."""
        if self._state is CANCELLED:
            return self._make_cancelled_error()
        assert self._exception is not None
        if self._unseen is not None:
            self._mark_seen()
        return self._exception.with_traceback(self._traceback)

    # Callbacks, and tasks that wait.

    def add_done_callback(
        self, fn: Callable[[Any], object], /, *, context: Context | None = None
    ) -> None:
        """Call `fn(self)` soon after the future is done, in `context` (default: a copy of ours)."""
        if self._state is not PENDING:
            self._loop.call_soon(fn, self, context=context)
            return
        loop = self._loop
        entry = loop.make_handle(fn, (), loop, copy_context() if context is None else context)
        if self._waiting is None:
            self._waiting = entry
        else:
            self._add_waiting(entry)

    def _add_waiting(self, entry: Any) -> None:
        """Add an entry when there is one already."""
        if type(self._waiting) is list:
            self._waiting.append(entry)
        else:
            self._waiting = [self._waiting, entry]

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """Remove every callback that equals `fn`. Returns how many there were."""
        waiting = self._everybody()
        # Comparing may run code that changes the list, or finishes the future.
        kept = [
            entry for entry in waiting if not isinstance(entry, Handle) or entry._callback != fn
        ]
        removed = len(waiting) - len(kept)
        if removed and self._waiting is not None:
            self._waiting = kept or None
        return removed

    def _everybody(self) -> list[Any]:
        """All entries that wait, in their order."""
        waiting = self._waiting
        if waiting is None:
            return []
        return list(waiting) if type(waiting) is list else [waiting]

    @property
    def _callbacks(self) -> Any:
        """The entries that wait, as asyncio's futures show them: pairs, and here tasks too."""
        pairs = [
            (entry._callback, entry._context) if isinstance(entry, Handle) else entry
            for entry in self._everybody()
        ]
        return pairs or None

    @property
    def _asyncio_awaited_by(self) -> frozenset[Any] | None:
        """The tasks that wait for this future: `asyncio.print_call_graph` asks."""
        return awaiters(self._everybody()) or None

    def _wake_waiting(self) -> None:
        """Queue all entries that wait."""
        waiting, self._waiting = self._waiting, None
        try:
            for entry in waiting if type(waiting) is list else (waiting,):
                entry._wake(self)
        except EXITS:
            self._wake_rest(waiting)
            raise

    def _wake_after_interrupt(self) -> None:
        """Queue the entries that Ctrl-C has kept from being woken when this future was done."""
        waiting, self._waiting = self._waiting, None
        self._wake_rest(waiting)

    def _wake_rest(self, waiting: Any) -> None:
        """Queue the entries that are not queued yet: Ctrl-C has interrupted their waking."""
        if waiting is None:
            return
        queued = set(map(id, self._loop._ready))
        for entry in waiting if type(waiting) is list else [waiting]:
            if id(entry) not in queued:
                entry._wake(self)

    # Awaiting.

    def __await__(self) -> Generator[Any, None, T]:
        try:
            if self._state is PENDING:
                self._asyncio_future_blocking = True
                yield self
                if self._state is PENDING:
                    raise RuntimeError("await wasn't used with future")
            if self._state is FINISHED and self._exception is None:
                return self._result  # type: ignore[return-value]  # `result`, without a call
            return self.result()
        except BaseException:
            self = None  # type: ignore[assignment]  # as in `result`
            raise

    __iter__ = __await__  # for `yield from` in generators of `types.coroutine`

    # Reporting.

    def _mark_seen(self) -> None:
        """Somebody has seen the exception: it need not be reported any more."""
        unseen = self._unseen
        if unseen is not None:
            unseen.disarm()
            self._unseen = None

    @property
    def _log_traceback(self) -> bool:
        """True while nobody has seen the exception. The name is asyncio's; libraries set it."""
        return self._unseen is not None

    @_log_traceback.setter
    def _log_traceback(self, value: bool) -> None:
        if value:
            raise ValueError("_log_traceback can only be set to False")
        self._mark_seen()

    def _twin(self) -> Future[Any]:
        """A copy of this future's state, to be reported when the future has been collected."""
        twin = new_future(self._loop)
        self._copy_outcome(twin)
        return twin

    def _copy_outcome(self, twin: Future[Any]) -> None:
        twin._state = self._state
        twin._exception = self._exception
        twin._traceback = self._traceback
        twin._source_traceback = self._source_traceback

    def _describe(self) -> list[str]:
        parts = [self._state.lower()]
        if self._state is FINISHED:
            if self._exception is not None:
                parts.append(f"exception={self._exception!r}")
            else:
                parts.append(f"result={reprlib.repr(self._result)}")
        if self._waiting is not None:
            parts.append(describe_callbacks(self._callbacks or []))
        return parts + describe_source(self._source_traceback)

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' '.join(self._describe())}>"


# The code of the frame in which an `await` of a future stands.
AWAIT_CODE = Future.__await__.__code__


def fill_future(future: Future[Any], loop: Loop) -> None:
    """Set the state of a new future."""
    future._loop = loop
    future._state = PENDING
    future._waiting = None
    future._result = None
    future._exception = None
    future._asyncio_future_blocking = False


def new_future(loop: Loop) -> Future[Any]:
    """Make a `Future` without going through its class, for `create_future`.

    Calling a class with a keyword builds a dictionary for each instance, asking the loop for its
    debug mode is a call, and `fill_future` is another: together they take more than half of the
    time. A test keeps the two lists of slots the same.
    """
    future: Future[Any] = _allocate(Future)
    future._loop = loop
    future._state = PENDING
    future._waiting = None
    future._result = None
    future._exception = None
    future._asyncio_future_blocking = False
    return future


if TYPE_CHECKING:
    _INNER: type[InnerFuture] = Future[Any]  # it has what others use
