"""EventLoop: the table of contents of the package.

Everything that `asyncio.AbstractEventLoop` promises is here, and hardly any of the work. The
hot verbs (`call_soon`, `call_later`, `create_future`, the running itself) are inherited from the
`Scheduler`; every other method names the part that does its work. To learn how something is done,
find its method, and open the file that it names. Some methods are functions of that file, such as
`create_server = listen.create_server`: their first parameter is the loop.

Source: the CPython documentation, "Event Loop".
"""

from __future__ import annotations

import asyncio
import socket
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextvars import Context
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, TypeVarTuple

from miniloop.kernel import COMPILED, debug, makers, until_done
from miniloop.kernel.asyncgens import AsyncGenerators
from miniloop.kernel.clock import ReplaceableClock, monotonic
from miniloop.kernel.closed import CLOSED
from miniloop.kernel.contract import Network
from miniloop.kernel.handle import Handle
from miniloop.kernel.joints import Joints
from miniloop.kernel.poller import Poller
from miniloop.kernel.report import ExceptionReporter, log_context
from miniloop.kernel.scheduler import Scheduler
from miniloop.kernel.selector_view import SelectorView
from miniloop.kernel.task import Task
from miniloop.kernel.timers import Timer
from miniloop.net import attach, connect, datagram_endpoint, descriptors, listen, pipe, sendfile
from miniloop.net.network import SystemNetwork
from miniloop.net.sock import Sockets
from miniloop.system import process
from miniloop.system.executor import DefaultExecutor
from miniloop.system.signals import SignalHandlers

__all__ = ["EventLoop", "new_event_loop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_SYSTEM_NETWORK = SystemNetwork()


class EventLoop(Scheduler, asyncio.AbstractEventLoop):
    """An asyncio event loop.

    `poller` finds out what happens to file descriptors (default: the best of the platform), `clock`
    tells the time in seconds and never goes backwards, `ready` is the queue of what is to run, and
    `network` makes sockets and resolves names (default: that of the operating system).
    """

    # Seconds; in debug mode, what takes longer than this is logged.
    slow_callback_duration = 0.1

    # Called with each new loop of this process, as soon as it is complete: for observers of loops
    # that a program makes by itself.
    when_made: ClassVar[list[Callable[[EventLoop], object]]] = []

    def __init__(
        self,
        *,
        poller: Poller | None = None,
        clock: Callable[[], float] = monotonic,
        ready: deque[Any] | None = None,
        network: Network = _SYSTEM_NETWORK,
    ) -> None:
        super().__init__(poller=poller, clock=clock, ready=ready)
        try:
            self.own_clock = clock
            self.network = network
            if type(self).time is not EventLoop.time:  # a subclass tells the time in its own way
                self.use_clock(self.time)
            self._debug = False
            self._task_factory: Callable[..., Any] | None = None
            self._asyncgens = AsyncGenerators(self)
            self._origins = debug.OriginTracking()
            self._reporter = ExceptionReporter()
            self._executor = DefaultExecutor(self)
            self._signals = SignalHandlers(self)
            self._sockets = Sockets(self)
            self.set_debug(debug.debug_by_default())
        except BaseException:
            super().close()
            raise
        # Which transport owns a file descriptor: programs may not watch that one.
        self.transports: dict[int, weakref.ref[Any]] = {}
        for look in EventLoop.when_made:
            look(self)

    @classmethod
    def new_event_loop(cls) -> EventLoop:
        """A new loop: the factory for `asyncio.Runner` and `asyncio.run`."""
        return cls()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} running={self.is_running()} closed={self.is_closed()} "
            f"debug={self.get_debug()}{' compiled' if COMPILED else ''}>"
        )

    def __del__(self) -> None:
        if not hasattr(self, "transports"):
            return  # a constructor that failed leaves nothing to close
        if self._closed:
            return
        warnings.warn(f"unclosed event loop {self!r}", ResourceWarning, source=self, stacklevel=2)
        # A task refers to its loop. So nobody holds one of these any more: they end as well.
        for task in self.tasks:
            task.report_destroyed()
        if not self.is_running():
            self.close()

    # Running and stopping: kernel/scheduler.py, kernel/until_done.py.

    if not TYPE_CHECKING:
        time = ReplaceableClock(Scheduler.time)

    def run_forever(self) -> None:
        """Run until `stop` is called."""
        self._check_closed()
        self._check_can_run()
        try:
            self._origins.switch(self._debug)
            self._asyncgens.install()
            super().run_forever()
        finally:
            self._asyncgens.uninstall()
            self._origins.switch(False)

    run_until_complete = until_done.run_until_complete

    def close(self) -> None:
        """Close the loop; it cannot be used again. Pending callbacks and tasks are dropped."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        self._signals.close()
        self._executor.close()
        super().close()
        # They refer to the loop. Without this cycle each is freed as soon as it is unused.
        self._signals = self._executor = self._sockets = CLOSED

    # Asynchronous generators: kernel/asyncgens.py.

    async def shutdown_asyncgens(self) -> None:
        """Close every asynchronous generator that was begun in this loop and not finished."""
        await self._asyncgens.shut_down()

    # Tasks and futures: kernel/task.py, kernel/future.py, kernel/makers.py.

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
        **kwargs: Any,
    ) -> Task[T]:
        """Run a coroutine in a task of its own. Raises RuntimeError if the loop is closed.

        `eager_start=True`, which asyncio has from 3.14 on, takes the first step at once, and
        `eager_start=False` does not, whatever the task factory. A factory that was set gets this
        and all further arguments.
        """
        if self._closed:
            raise RuntimeError("Event loop is closed")
        if kwargs:
            task: Task[T] = makers.create_special_task(self, coro, name, context, **kwargs)
            return task
        return self.make_task(self, coro, name, context)

    def set_task_factory(self, factory: Callable[..., Any] | None) -> None:
        """Have `factory(loop, coro, **kwargs)` make the tasks; None for the loop's own.

        `asyncio.eager_task_factory` is taken to mean eager tasks, and they will be ours.
        """
        if factory is not None and not callable(factory):
            raise TypeError("task factory must be a callable or None")
        self._task_factory = factory
        makers.choose_makers(self)

    def get_task_factory(self) -> Callable[..., Any] | None:
        """The factory that was set, or None."""
        return self._task_factory

    # Exceptions: kernel/report.py.

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that no caller can catch to the exception handler."""
        self._reporter.report(self, context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log the context. This is the handler if none is set."""
        log_context(context)

    def set_exception_handler(self, handler: Callable[..., object] | None) -> None:
        """Have `handler(loop, context)` called; None for the default."""
        if handler is not None and not callable(handler):
            raise TypeError(f"A callable object or None is expected, got {handler!r}")
        self._reporter.handler = handler

    def get_exception_handler(self) -> Callable[..., object] | None:
        """The handler that was set, or None."""
        return self._reporter.handler

    # Debug mode: kernel/debug.py.

    def get_debug(self) -> bool:
        """True in debug mode."""
        return self._debug

    def set_debug(self, enabled: bool) -> None:
        """Switch debug mode on or off, for what is made from now on."""
        self._debug = bool(enabled)
        if self._closed:
            makers.choose_makers(self)
        else:
            self.use_joints(self._join())
        if self.is_running():
            self.call_soon_threadsafe(self._origins.switch, self._debug)

    def use_joints(self, joints: Joints) -> None:
        """Use these joints. In debug mode the calling thread is checked before observers see."""
        super().use_joints(joints)
        if self._debug:
            self.enqueue = debug.checked_enqueue(self, joints.append)
        makers.choose_makers(self)

    # Threads: system/executor.py.

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call `func(*args)` in a thread (or whatever the executor has)."""
        self._check_closed()
        return self._executor.run(executor, func, *args)

    @property
    def calls_in_threads(self) -> int:
        """How many calls in executors, running or queued, will still report to the loop.

        As long as there are any, a loop that sleeps without a timer may still be woken.
        """
        return 0 if self._closed else len(self._executor.at_work)

    def set_default_executor(self, executor: Any) -> None:
        """Use this ThreadPoolExecutor when none is named."""
        self._executor.set(executor)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the default executor's threads, for `timeout` seconds at most."""
        await self._executor.shut_down(timeout)

    # Signals: system/signals.py.

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Call `callback(*args)` in the loop when the process gets the signal."""
        self._signals.add(sig, callback, args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Go back to the signal's default action. False if there was no handler."""
        return not self._closed and self._signals.remove(sig)

    # File descriptors: net/descriptors.py.

    add_reader = descriptors.add_reader
    remove_reader = descriptors.remove_reader
    add_writer = descriptors.add_writer
    remove_writer = descriptors.remove_writer

    # Sockets, names and addresses: net/network.py, net/resolver.py.

    def make_socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        """A new socket of the loop's network. Raises OSError if there can be none."""
        return self.network.make_socket(family, kind, proto)

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """`socket.getaddrinfo`, without blocking."""
        return await self.network.getaddrinfo(
            self, host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """`socket.getnameinfo`, without blocking."""
        return await self.network.getnameinfo(self, sockaddr, flags)

    # Bare sockets: net/sock.py. Each returns its coroutine, which saves a frame a call.

    def sock_recv(self, sock: socket.socket, nbytes: int) -> Coroutine[Any, Any, bytes]:
        """Receive up to `nbytes` bytes."""
        return self._sockets.recv(sock, nbytes)

    def sock_recv_into(self, sock: socket.socket, buf: Any) -> Coroutine[Any, Any, int]:
        """Receive into a buffer."""
        return self._sockets.recv_into(sock, buf)

    def sock_recvfrom(
        self, sock: socket.socket, bufsize: int
    ) -> Coroutine[Any, Any, tuple[bytes, Any]]:
        """Receive a datagram and its sender."""
        return self._sockets.recvfrom(sock, bufsize)

    def sock_recvfrom_into(
        self, sock: socket.socket, buf: Any, nbytes: int = 0
    ) -> Coroutine[Any, Any, tuple[int, Any]]:
        """Receive a datagram into a buffer, and its sender."""
        return self._sockets.recvfrom_into(sock, buf, nbytes)

    def sock_sendall(self, sock: socket.socket, data: Any) -> Coroutine[Any, Any, None]:
        """Send all of the data."""
        return self._sockets.sendall(sock, data)

    def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> Coroutine[Any, Any, int]:
        """Send a datagram."""
        return self._sockets.sendto(sock, data, address)

    def sock_connect(self, sock: socket.socket, address: Any) -> Coroutine[Any, Any, None]:
        """Connect a socket."""
        return self._sockets.connect(sock, address)

    def sock_accept(self, sock: socket.socket) -> Coroutine[Any, Any, tuple[socket.socket, Any]]:
        """Accept a connection."""
        return self._sockets.accept(sock)

    async def sock_sendfile(
        self,
        sock: socket.socket,
        file: Any,
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool | None = None,
    ) -> int:
        """Send a file over a socket."""
        # asyncio's loops fall back unless they are told not to; its abstract class says None.
        return await sendfile.send_over_socket(
            self, self._sockets, sock, file, offset, count, fallback is None or fallback
        )

    # Connections: net/connect.py, net/attach.py, net/tls.py; the transports: net/stream.py,
    # net/tls_transport.py.

    create_connection = connect.create_connection
    create_unix_connection = connect.create_unix_connection
    connect_accepted_socket = connect.connect_accepted_socket
    start_tls = attach.start_tls
    sendfile = sendfile.sendfile

    # Servers: net/listen.py, net/server.py, net/listener.py.

    create_server = listen.create_server  # type: ignore[assignment]  # our own Server
    create_unix_server = listen.create_unix_server  # type: ignore[assignment]

    # Datagrams: net/datagram_endpoint.py, net/datagram.py.

    create_datagram_endpoint = datagram_endpoint.create_datagram_endpoint  # type: ignore[assignment]

    # Pipes: net/pipe.py.

    connect_read_pipe = pipe.connect_read_pipe
    connect_write_pipe = pipe.connect_write_pipe

    # Processes: system/process.py.

    subprocess_exec = process.subprocess_exec
    subprocess_shell = process.subprocess_shell

    # asyncio's own timers call this; our timers are counted by their queue.

    def _timer_handle_cancelled(self, handle: Any) -> None:
        pass

    # Private names of asyncio's that libraries read: docs/decisions/types-that-libraries-check.md.

    @property
    def _selector(self) -> SelectorView:
        return SelectorView(self.poller)

    @property
    def _scheduled(self) -> list[Timer]:
        return [timer for _, _, timer in sorted(self.timers.entries)]

    @property
    def _signal_handlers(self) -> Mapping[int, Handle]:
        return MappingProxyType({} if self._closed else self._signals.handlers)

    @property
    def _default_executor(self) -> Any:
        return None if self._closed else self._executor.pool

    @property
    def _executor_shutdown_called(self) -> bool:
        return self._closed or self._executor.is_shut_down

    @property
    def _exception_handler(self) -> Callable[..., object] | None:
        return self._reporter.handler

    @property
    def _clock_resolution(self) -> float:
        return self._resolution


# The factory for `asyncio.run`, `Runner` and whoever else asks for one. A bound method, and not a
# function: as an attribute of a class (`loop_factory = miniloop.new_event_loop` in a test case), it
# does not take the instance for an argument.
new_event_loop = EventLoop.new_event_loop
"""Make a loop: the factory to give to who asks for one."""
