"""What the parts may ask of each other, in one place.

A part is handed what it needs and does not import who made it: a handle knows its loop, but not
the `Scheduler`. What it may ask there is written here. What is not written here is private to the
file that has it. mypy checks both sides; at run time nothing is checked and nothing is paid.

The leaves of the kernel (`poller`, `timers`, `wakeup`, `joints`) stand below this file: they are
given no loop. Everything else that is given one stands above.

What may be exchanged is a *joint*: the poller, the clock and the ready queue are given to a new
loop, the timer queue is `loop.timers`, `use_makers` says who makes handles, futures and tasks. To
look on, or to choose another order, there is `observe`, which takes an `Observer`: see `joints`,
where each place at which it can stand has its name. It stays in whatever `set_debug` and
`set_task_factory` exchange.

Invariant: every `EventLoop` has what is named here. mypy checks it where a loop hands itself out.

The trap: a method that the kernel or `net` calls although only `EventLoop` has it is a call that
goes up, which no import shows. Each is named here, under "calls up". Shorten those lists where you
can. Rather than add to them, hand the part what it needs.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Coroutine, MutableSet
from contextvars import Context
from traceback import StackSummary
from typing import Any, Protocol, TypeVar, TypeVarTuple
from weakref import ref

from miniloop.kernel.joints import Joints, Observer
from miniloop.kernel.poller import Poller
from miniloop.kernel.timers import TimerQueue
from miniloop.kernel.wakeup import Wakeup

__all__ = [
    "CompleteLoop",
    "Entry",
    "InnerFuture",
    "InnerHandle",
    "InnerTask",
    "Joints",
    "Loop",
    "Network",
    "Observer",
    "ReportedFuture",
    "ReportedTask",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Entry(Protocol):
    """What the ready queue holds, and what waits for a future: a `Handle` or a `Task`."""

    def _run(self) -> None: ...  # its turn has come
    def _wake(self, future: Any, /) -> None: ...  # `future` is done: queue yourself


class Loop(Protocol):
    """A `Scheduler`, as seen by the parts to which it hands itself."""

    # The parts, each explained in the file of its class.
    @property
    def poller(self) -> Poller: ...

    timers: TimerQueue
    wakeup: Wakeup

    # State. What has an underscore belongs to the kernel; `net` and `system` leave it alone.
    tasks: MutableSet[Any]  # all that are not done
    asleep: bool
    needs_recovery: bool
    _ready: deque[Any]
    _thread_id: int | None  # None if it does not run

    # Scheduling.
    enqueue: Callable[[Any], object]  # the way into `_ready`, for the loop's own thread
    hand_over: Callable[[Any], object]  # the same for every thread; it does not wake the loop

    def observe(self, observer: Observer) -> None: ...
    def unobserve(self, observer: Observer) -> None: ...

    @property
    def make_handle(self) -> Callable[..., Entry]: ...
    def create_future(self) -> asyncio.Future[Any]: ...
    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle: ...
    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle: ...
    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts
    ) -> asyncio.TimerHandle: ...
    def time(self) -> float: ...

    # Running.
    def run_forever(self) -> None: ...
    def stop(self) -> None: ...
    def is_running(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def _check_closed(self) -> None: ...  # raises RuntimeError if it is
    def _check_can_run(self) -> None: ...  # raises RuntimeError if one runs in this thread

    # Descriptors.
    def watch_reader(
        self,
        fd: int,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> object: ...
    def watch_writer(
        self,
        fd: int,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> object: ...
    def unwatch_reader(self, fd: int) -> bool: ...
    def unwatch_writer(self, fd: int) -> bool: ...
    def unwatch(self, fd: int) -> None: ...

    # Calls up: `EventLoop` has it, and the kernel asks for it.
    slow_callback_duration: float

    def get_debug(self) -> bool: ...
    def call_exception_handler(self, context: dict[str, Any]) -> None: ...
    def create_task(self, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]: ...


class CompleteLoop(Loop, Protocol):
    """The `EventLoop`, as seen by the parts that need more than the scheduler has."""

    # For those who ask whether the loop can be woken at all.
    @property
    def calls_in_threads(self) -> int: ...

    # Who makes tasks, and the rest: see `makers`.
    @property
    def make_task(self) -> Callable[..., Any]: ...
    @property
    def make_eager_task(self) -> Callable[..., Any]: ...
    @property
    def use_makers(self) -> Callable[..., None]: ...

    # Calls up, of the kernel.
    def get_task_factory(self) -> Callable[..., Any] | None: ...

    own_clock: Callable[[], float]  # to go back to, when one that was set is deleted

    def use_clock(self, clock: Callable[[], float]) -> None: ...
    def default_exception_handler(self, context: dict[str, Any]) -> None: ...

    # Calls up, of `net`. Users replace the methods to see or change what they do.
    transports: dict[int, ref[Any]]  # who owns a descriptor: see `net.ownership`

    def make_socket(self, family: int, kind: int, proto: int = 0) -> socket.socket: ...
    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]: ...
    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]: ...
    async def sock_connect(self, sock: socket.socket, address: Any) -> None: ...

    # Calls up, of `system`: the pipes of a process are made by `net`, its neighbour.
    async def connect_read_pipe(self, protocol_factory: Callable[[], Any], pipe: Any) -> Any: ...
    async def connect_write_pipe(self, protocol_factory: Callable[[], Any], pipe: Any) -> Any: ...


class Network(Protocol):
    """Who makes the sockets of a loop, and resolves names for it: see `net.network`."""

    def make_socket(self, family: int, kind: int, proto: int, /) -> socket.socket: ...
    async def getaddrinfo(
        self,
        loop: CompleteLoop,
        host: Any,
        port: Any,
        /,
        *,
        family: int,
        type: int,
        proto: int,
        flags: int,
    ) -> list[tuple[int, int, int, str, tuple[Any, ...]]]: ...
    async def getnameinfo(
        self, loop: CompleteLoop, sockaddr: Any, flags: int, /
    ) -> tuple[str, str]: ...


# The inner interface: what files of the kernel use of each other's objects although its name is
# private. `tests/layering.py` refuses what is not declared here, also in `net` and `system`.


class InnerHandle(Entry, Protocol):
    """A handle, as seen by the scheduler, which makes it, and by whatever looks for a callback."""

    _callback: Any  # None once it is cancelled
    _args: tuple[Any, ...]
    _context: Context
    _loop: Loop


class InnerFuture(Protocol):
    """A future of ours, as seen by tasks, and by whatever asks who waits for it."""

    _loop: Loop
    _state: str
    _result: Any
    _exception: BaseException | None
    _asyncio_future_blocking: bool
    _waiting: Any  # None, one entry, or a list of entries

    @property
    def _cancel_message(self) -> Any: ...
    @property
    def _callbacks(self) -> Any: ...
    def _add_waiting(self, entry: Any) -> None: ...  # when `_waiting` is not None
    def _wake_waiting(self) -> None: ...  # it is done
    def _wake_after_interrupt(self) -> None: ...  # it is done, and some may have been woken
    def _failure(self) -> BaseException: ...  # what awaiting it raises


class InnerTask(Entry, InnerFuture, Protocol):
    """A task, as seen by `eager`, which writes out its first step, and by `recovery`."""

    _coro: Any
    _send: Callable[[None], Any]
    _context: Context
    _name: str | None
    _fut_waiter: Any
    _throw: Any
    _must_cancel: bool
    _log_destroy_pending: bool

    def _wait_for(self, awaited: Any) -> None: ...  # its coroutine has yielded `awaited`
    def _wakeup(self, future: Any) -> None: ...  # the callback that waits on a foreign future
    def _end_by(self, error: BaseException, *, eager: bool = False) -> bool: ...


class ReportedFuture(Protocol):
    """A future, as seen by whatever reports how it ended."""

    _source_traceback: StackSummary | None

    @property
    def _loop(self) -> Loop: ...
    @property
    def _exception(self) -> BaseException | None: ...
    def _twin(self) -> ReportedFuture: ...  # a copy of its state


class ReportedTask(ReportedFuture, Protocol):
    """A task, likewise."""

    _coro: Any

    def cancelled(self) -> bool: ...
    def outlive_loop(self) -> None: ...
    def have_no_last_words(self) -> None: ...
