"""Task: a coroutine that is run, one step after the other.

A coroutine does not run by itself: something must call `coro.send(None)`. It then runs until it
awaits something that is not done, and yields that. A task makes these calls:

    ready ──_run──▶ the coroutine runs up to its next `await` of something not done, and yields
      ▲             None            (a bare `yield`, as in `sleep(0)`): ready again at once
      │             a future        waits: the future will queue the task when it is done
      └──_wake──────┘               returns or raises: the task itself, a future too, is done

So `await future` costs: the future yields itself up to the task; the task adds *itself* to the
future's callbacks; the future, when done, puts the task into the ready queue; the task sends None.

Invariants:

1. A task that is not done is in exactly one place: in the ready queue, or among the callbacks of
   the future `_fut_waiter`. (Or running.)
2. `_throw` is what the next step raises inside the coroutine instead of sending None: an exception,
   or a future whose exception is to be raised. `_must_cancel` makes that a CancelledError.
3. The loop's `tasks` holds every task that is not done. There may be no other reference: a task and
   the future that it awaits may refer only to each other, and would be collected unfinished.

The trap: cancelling is a request. If the task waits, `cancel` cancels what it waits for; otherwise
the next step raises CancelledError. The coroutine may catch that and go on. Requests are counted
(`cancelling`, `uncancel`), since `timeout` and `TaskGroup` must know whether a CancelledError is
theirs.
"""

from __future__ import annotations

import asyncio
import reprlib
import sys
from asyncio import CancelledError
from collections.abc import Callable
from contextvars import Context, copy_context
from itertools import count
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from miniloop.kernel import inspection
from miniloop.kernel.contract import InnerTask, Loop
from miniloop.kernel.describe import describe_coroutine
from miniloop.kernel.exits import EXITS
from miniloop.kernel.future import CANCELLED, FINISHED, PENDING, Future, fill_future
from miniloop.kernel.handle import passes_on
from miniloop.kernel.last_words import UnfinishedTask
from miniloop.kernel.misuse import why_not
from miniloop.kernel.registry import current_tasks

__all__ = ["Task", "check_context", "new_task"]

T = TypeVar("T")

# From 3.13 on, taking back the last request also takes back the CancelledError that was to come.
_UNCANCEL_RESCINDS = sys.version_info >= (3, 13)

_allocate = object.__new__
_numbers = count(1)

if TYPE_CHECKING:

    class _Base(Future[T], asyncio.Task[T]):
        pass
else:
    _Base = Future


class Task(_Base[T]):
    """A running coroutine, and a future for what it returns. Not safe to use from other threads.

    Source: the CPython documentation, "Coroutines and Tasks".
    """

    __slots__ = (
        "_context",
        "_coro",
        "_fut_waiter",
        "_log_destroy_pending",
        "_must_cancel",
        "_name",
        "_send",
        "_throw",
    )
    global __static_attributes__  # as in Future: a tenth less memory on CPython 3.14

    _coro: Any  # a coroutine or what looks like one; None once an eager task is done
    _send: Callable[[None], Any]  # of `_coro`
    _context: Context
    _name: str | None  # None until it is asked for: most names are never read
    _fut_waiter: Any
    _throw: BaseException | Future[Any] | None
    _must_cancel: bool
    # Whether to report a task that is collected before it is done. `gather` sets it to False for
    # each of its tasks. So it is a slot: a property in Python takes 4 % of a `gather`, tasks too.
    _log_destroy_pending: bool

    # In the dictionary of those that have any.
    _cancel_requests: int = 0
    _last_words: UnfinishedTask | None = None

    def __init__(
        self,
        coro: Any,
        *,
        loop: Any = None,
        name: object = None,
        context: Context | None = None,
        eager_start: bool = False,
    ) -> None:
        super().__init__(loop=loop)
        _check_coroutine(coro)
        if not hasattr(self._loop, "tasks"):
            raise TypeError(f"a task of miniloop needs a loop of miniloop, got {self._loop!r}")
        eager = eager_start and self._loop.is_running()
        _begin(
            self, coro, name, copy_context() if context is None else check_context(context, eager)
        )
        if eager:
            self._run_eagerly()
        else:
            _schedule(self)

    @property  # type: ignore[misc]  # writable in `object`
    def __class__(self) -> type:
        return asyncio.Task

    # One step.

    def _run(self) -> None:
        """Run the coroutine up to its next suspension, its return or its failure."""
        if self._state is not PENDING:
            self._refuse_step()
            return
        loop = self._loop
        throw: BaseException | None = None
        current_tasks[loop] = self
        self._fut_waiter = None
        try:
            if self._throw is None and not self._must_cancel:
                awaited = self._context.run(self._send, None)
            else:
                throw = self._take_throw()
                awaited = self._context.run(self._coro.throw, throw)
        except StopIteration as stop:
            if self._must_cancel:
                # Cancelled during its last step: there is no other step that could raise it.
                self._must_cancel = False
                Future.cancel(self, self._cancel_message)
            else:
                self._result = stop.value
                self._state = FINISHED
                waiting = self._waiting
                if waiting is not None:
                    if type(waiting) is list:
                        self._wake_waiting()
                    else:
                        # As `_wake_waiting` does, without a call. It needs no `except`: if Ctrl-C
                        # strikes here, `recovery` finds the task in `loop.tasks`, done.
                        waiting._wake(self)
                        self._waiting = None
            loop.tasks.discard(self)
        except BaseException as error:
            self._exception = error  # before any call, in which Ctrl-C could strike: see `recovery`
            if self._end_by(error):
                raise
        else:
            # As `_wait_for` does, without the call, which would take 5 % of a step's instructions.
            kind = type(awaited)
            if awaited is None:
                loop.enqueue(self)
            elif (
                (kind is Future or kind is Task)
                and awaited._asyncio_future_blocking
                and awaited._loop is loop
                and awaited._state is PENDING
                and awaited is not self
            ):
                awaited._asyncio_future_blocking = False
                if awaited._waiting is None:
                    awaited._waiting = self
                else:
                    awaited._add_waiting(self)
                self._fut_waiter = awaited
                if self._must_cancel and awaited.cancel(self._cancel_message):
                    self._must_cancel = False
            else:
                self._wait_for_foreign(awaited)
        finally:
            del current_tasks[loop]
            # A traceback that was raised through this frame must not keep its own task alive.
            self = throw = None  # type: ignore[assignment]  # never read again

    def _refuse_step(self) -> None:
        """Report a call of `Future.set_result(task, ...)`, which `Task.set_result` refuses."""
        self._loop.tasks.discard(self)
        self._loop.call_exception_handler(
            {
                "message": f"{self!r} was finished from outside while it ran",
                "exception": asyncio.InvalidStateError(f"step(): already done: {self!r}"),
                "task": self,
            }
        )

    def _take_throw(self) -> BaseException:
        throw = self._throw
        if isinstance(throw, Future):
            throw = throw._failure()
        if self._must_cancel and not isinstance(throw, CancelledError):
            throw = self._make_cancelled_error()
        assert throw is not None
        # These come last: Ctrl-C may strike in a call, and there is none between here and the step.
        self._throw = None
        self._must_cancel = False
        return throw

    def _end_by(self, error: BaseException, *, eager: bool = False) -> bool:
        """A step has raised `error`: end the task. Returns True if the error is to go on from here.

        If the coroutine has not come to its end, it was a signal's handler that raised, before or
        after it ran: then the task goes on. Only the first step of an eager task ends the task even
        so, unless it is an exit: `create_task` has to return a task that will be done.
        """
        is_exit = isinstance(error, EXITS)
        coro = self._coro
        # (A coroutine that has ended, as nearly all of these, has no frame: that saves a call.)
        if getattr(coro, "cr_frame", coro) is not None and inspection.is_suspended(coro):
            trace = error.__traceback__
            # With no frame below ours the context could not be entered, and the task has failed.
            if is_exit or (not eager and trace is not None and trace.tb_next is not None):
                self._exception = None
                return True
        if is_exit:
            self._fail(error)  # as it is
        else:
            trace = error.__traceback__
            if trace is not None:
                # Its traceback is to begin in the coroutine, where its reader looks.
                error = error.with_traceback(trace.tb_next)
            if isinstance(error, CancelledError):
                self._exception = error  # its traceback says where we were cancelled
                Future.cancel(self)
            else:
                self._fail(error)
        self._loop.tasks.discard(self)
        return is_exit

    def _wait_for(self, awaited: Any) -> None:
        """The coroutine has yielded `awaited`: for None queue the task again, else wait."""
        kind = type(awaited)
        # A subclass may have its own add_done_callback: it is treated like a foreign future. So is
        # a future that was finished between its `await` and this point.
        if awaited is None:
            self._loop.enqueue(self)
        elif (
            (kind is Future or kind is Task)
            and awaited._asyncio_future_blocking
            and awaited._loop is self._loop
            and awaited._state is PENDING
            and awaited is not self
        ):
            awaited._asyncio_future_blocking = False
            if awaited._waiting is None:
                awaited._waiting = self
            else:
                awaited._add_waiting(self)
            self._fut_waiter = awaited
            if self._must_cancel and awaited.cancel(self._cancel_message):
                self._must_cancel = False
        else:
            self._wait_for_foreign(awaited)

    def _wait_for_foreign(self, awaited: Any) -> None:
        """Wait for a future of another make, by the protocol that all makes share."""
        misuse = why_not(self, awaited)
        if misuse is not None:
            self._throw = RuntimeError(misuse)
            self._loop.enqueue(self)
            return
        awaited._asyncio_future_blocking = False
        # Not in our own context: the step enters that itself, and no context can be entered twice.
        awaited.add_done_callback(self._wakeup)
        self._fut_waiter = awaited
        if self._must_cancel and awaited.cancel(msg=self._cancel_message):
            self._must_cancel = False

    @passes_on
    def _wakeup(self, future: Any) -> None:
        """The callback that waits on a future of another make."""
        try:
            future.result()
        except BaseException as error:
            # `result` of another make may raise any exception.
            is_telling = type(future).result is not Future.result and isinstance(error, Exception)
            if (
                not is_telling
                and not isinstance(error, CancelledError)
                and (future.cancelled() or future.exception() is not error)
            ):
                raise  # not the future's failure: a signal's handler raised it here
            self._throw = error
        self._run()

    def _wake(self, future: Future[Any]) -> None:
        """Become ready because `future`, one of ours, is done."""
        if future._exception is not None or future._state is CANCELLED:
            # The next step raises its exception, and fetches it then: entries that were queued
            # before us may ask first, and a task gives its CancelledError away only once.
            self._throw = future
        self._loop.enqueue(self)

    def _run_eagerly(self) -> None:
        """Take the first step at once, in the caller's turn; only what is left waits for a turn.

        Source: the CPython documentation, `asyncio.eager_task_factory`.
        """
        loop = self._loop
        loop.tasks.add(self)
        outer = current_tasks.get(loop)
        try:
            self._run()
        except Exception as error:  # of a signal's handler: `create_task` returns a failed task
            self._end_by(error, eager=True)
        finally:
            if outer is not None:
                current_tasks[loop] = outer
            if self._state is not PENDING:
                self._coro = self._send = None  # type: ignore[assignment]  # there is no next step

    # Cancelling.

    def cancel(self, msg: Any = None) -> bool:
        """Ask the task to end: a CancelledError is raised in its coroutine at its next step.

        Returns False if the task is done already. `msg` becomes the argument of the CancelledError.
        """
        if self._state is not PENDING:
            return Future.cancel(self)
        waiter = self._fut_waiter
        if waiter is not None and getattr(type(waiter), "cancel", None) is Task.cancel:
            return self._cancel_chain(msg)
        if waiter is not None and waiter.cancel(msg=msg):
            # It wakes us with its CancelledError. It may also be a task that ignores the request.
            self._cancel_requests += 1
            return True
        self._cancel_requests += 1
        self._must_cancel = True
        if msg is not self._cancel_message:
            self._cancel_message = msg
        return True

    def _cancel_chain(self, msg: Any) -> bool:
        """Cancel a task that waits for a task: the last of the chain is what can be cancelled.

        Without recursion, as a chain may be longer than Python's stack.
        """
        chain: dict[Task[Any], None] = {}  # in order, and quick to search
        last: Any = self
        waiter: Any = self._fut_waiter
        while (
            waiter is not None
            and getattr(type(waiter), "cancel", None) is Task.cancel
            and waiter._state is PENDING
        ):
            chain[last] = None
            if waiter in chain:
                raise RecursionError(f"tasks wait for each other in a circle: {waiter!r}")
            last = waiter
            waiter = last._fut_waiter
        if waiter is None or not waiter.cancel(msg=msg):
            last._must_cancel = True
            if msg is not last._cancel_message:
                last._cancel_message = msg
        last._cancel_requests += 1
        for task in chain:
            task._cancel_requests += 1
        return True

    def cancelling(self) -> int:
        """How many requests to cancel are outstanding."""
        return self._cancel_requests

    def uncancel(self) -> int:
        """Take one request to cancel back. Returns how many are outstanding."""
        if self._cancel_requests > 0:
            self._cancel_requests -= 1
            if self._cancel_requests == 0 and _UNCANCEL_RESCINDS:
                self._must_cancel = False
        return self._cancel_requests

    def set_result(self, result: T, /) -> None:
        """Not for tasks: raises RuntimeError."""
        raise RuntimeError("Task does not support set_result operation")

    def set_exception(self, exception: type[BaseException] | BaseException, /) -> None:
        """Not for tasks: raises RuntimeError."""
        raise RuntimeError("Task does not support set_exception operation")

    # Asking.

    def get_coro(self) -> Any:
        """The coroutine that the task runs."""
        return self._coro

    def get_context(self) -> Context:
        """The context (PEP 567) in which it runs."""
        return self._context

    def get_name(self) -> str:
        """The name given to it, or else `Task-` and a number, in the order of asking."""
        name = self._name
        if name is None:
            name = self._name = f"Task-{next(_numbers)}"
        return name

    def set_name(self, value: object, /) -> None:
        """Name it; anything is turned into a string."""
        self._name = str(value)

    def get_stack(self, *, limit: int | None = None) -> list[FrameType]:
        """The frames of the coroutine: see `inspection.get_stack`."""
        return inspection.get_stack(self, limit)

    def print_stack(self, *, limit: int | None = None, file: TextIO | None = None) -> None:
        """Print the frames of the coroutine: see `inspection.print_stack`."""
        inspection.print_stack(self, limit, file)

    # Reporting.

    def outlive_loop(self) -> None:
        """The loop was closed before the task was done: report that when the task is collected."""
        if self._log_destroy_pending:
            _watch_log_destroy_pending()
            self._last_words = UnfinishedTask(self)

    def have_no_last_words(self) -> None:
        """The task is done after all, or need not be reported: take the report back."""
        if self._last_words is not None:
            self._last_words.disarm()
            self._last_words = None

    def report_destroyed(self) -> None:
        """The loop is collected without having been closed, and the task with it: report that."""
        if self._log_destroy_pending:
            self._log_destroy_pending = False
            UnfinishedTask(self).say()

    def _twin(self) -> Task[Any]:
        twin: Task[Any] = _allocate(Task)
        fill_future(twin, self._loop)
        _begin(twin, self._coro, self.get_name(), self._context)
        twin._fut_waiter = self._fut_waiter
        self._copy_outcome(twin)
        return twin

    def _describe(self) -> list[str]:
        parts = super()._describe()
        if self._state is PENDING and self._cancel_requests:
            parts[0] = "cancelling"
        parts.insert(1, f"name={self.get_name()!r}")
        parts.insert(2, f"coro=<{describe_coroutine(self._coro)}>")
        if self._fut_waiter is not None:
            parts.insert(3, f"wait_for={self._fut_waiter!r}")
        return parts

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' '.join(self._describe())}>"


def _check_coroutine(coro: Any) -> None:
    if type(coro) is not CoroutineType and not asyncio.iscoroutine(coro):
        raise TypeError(f"a coroutine was expected, got {coro!r}")


def check_context(context: Any, enter_now: bool = False) -> Context:
    """The context that a task was given, if it is one and, for an eager task, can be entered.

    Raises TypeError and RuntimeError: before there is a task, which nothing would await.
    """
    if not isinstance(context, Context):
        raise TypeError(f"a contextvars.Context was expected, got {context!r}")
    if enter_now:
        context.run(_nothing)
    return context


def _nothing() -> None:
    pass


def _begin(task: Task[Any], coro: Any, name: object, context: Context) -> None:
    """Set the state of a new task."""
    task._coro = coro
    task._send = coro.send
    task._context = context
    task._name = None if name is None else str(name)
    task._fut_waiter = None
    task._throw = None
    task._must_cancel = False
    task._log_destroy_pending = True


def _watch_log_destroy_pending() -> None:
    """From now on be told when the slot is set to False: a task may have last words to take back.

    Called when a loop is closed before a task is done, which most programs never do.
    """
    slot: Any = Task._log_destroy_pending
    if isinstance(slot, property):
        return

    def change(task: Task[Any], value: bool) -> None:
        slot.__set__(task, value)
        if not value:
            task.have_no_last_words()

    Task._log_destroy_pending = property(slot.__get__, change)  # type: ignore[assignment]


def _schedule(task: Task[Any]) -> None:
    loop = task._loop
    loop.enqueue(task)  # which may refuse it
    loop.tasks.add(task)


def new_task(loop: Loop, coro: Any, name: object, context: Context | None) -> Task[Any]:
    """Make a `Task` without going through its class, for `create_task`.

    The same as `Task.__init__`, written out. Calls of `fill_future` and `_begin` alone would take
    4 % of the instructions of a task that is created, run and awaited. A test keeps the lists of
    slots the same.
    """
    if type(coro) is not CoroutineType:
        _check_coroutine(coro)
    task: Task[Any] = _allocate(Task)
    task._loop = loop
    task._state = PENDING
    task._waiting = None
    task._result = None
    task._exception = None
    task._asyncio_future_blocking = False
    task._coro = coro
    task._send = coro.send
    task._context = copy_context() if context is None else check_context(context)
    task._name = None if name is None else str(name)
    task._fut_waiter = None
    task._throw = None
    task._must_cancel = False
    task._log_destroy_pending = True
    loop.enqueue(task)
    loop.tasks.add(task)
    return task


if TYPE_CHECKING:
    _INNER: type[InnerTask] = Task[Any]  # it has what others use
