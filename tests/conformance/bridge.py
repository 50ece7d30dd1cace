"""miniloop as a subject, with the few private names by which CPython's tests look into a loop.

Most tests use public methods only. Some set up or look up a thing by a private name of
``BaseEventLoop``: they turn the loop once with ``_run_once()`` or look whether ``_ready`` is empty.
Where the name has a meaning for any loop, `LoopUnderTest` gives it one in terms of miniloop, so
that the test can run. Those that programs read too are in miniloop itself
(docs/decisions/types-that-libraries-check.md).
"""

from __future__ import annotations

import asyncio
import functools
import mmap
import selectors
import socket
import sys
from collections.abc import Callable, Generator, Iterable, MutableSequence
from contextvars import Context, copy_context
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import miniloop
from miniloop.kernel import debug
from miniloop.kernel.handle import SharedHandle, new_handle, new_timer
from miniloop.kernel.origin import capture_stack
from miniloop.kernel.poller import Poller, SelectorPoller, default_poller
from miniloop.net import sendfile
from miniloop.net.server import Server
from miniloop.net.tls_protocol import TLSProtocol
from miniloop.net.tls_transport import SSLTransport
from miniloop.system import process
from miniloop.system.child_exit import ThreadWatch
from tests.conformance.subject import Subject

TimeScript = Callable[[], Generator[float, float, None]]


def subject() -> Subject:
    """Everything of miniloop's that a test of asyncio can be about."""
    give_private_names()
    made = count_loops()
    return Subject(
        "miniloop",
        loop_class=LoopUnderTest,
        loop_class_without_sendfile=LoopWithoutSendfile,
        task=miniloop.Task,
        future=miniloop.Future,
        handle=make_handle,
        timer_handle=make_timer_handle,
        policy=miniloop.EventLoopPolicy,
        test_loop=ScriptedLoop,
        package="miniloop",
        aliases={"_is_debug_mode": "debug_by_default"},
        # A loop that is made while sockets are mocked has real ones for itself, as asyncio's has.
        unfollowed={"miniloop.kernel.wakeup"},
        prologue=(
            f"import sys; sys.path.insert(0, {str(Path(miniloop.__file__).parents[1])!r}); "
            "import asyncio, miniloop; asyncio.new_event_loop = miniloop.new_event_loop\n"
        ),
        # The loop does not ask the policy's child watcher, so its classes would all test the same.
        variants={
            ("test_subprocess", "SubprocessThreadedWatcherTests"): mock.patch.object(
                process, "watch_exit", ThreadWatch
            )
        },
        made=made,
    )


def count_loops() -> MutableSequence[int]:
    """A count of all loops, however they are made, that goes up by itself.

    It is in memory that forked processes share: some tests make their loop in one.
    """
    made: Any = memoryview(mmap.mmap(-1, 8)).cast("q")
    initialise = miniloop.EventLoop.__init__

    @functools.wraps(initialise)
    def initialise_and_count(self: miniloop.EventLoop, **parts: Any) -> None:
        made[0] += 1
        initialise(self, **parts)

    miniloop.EventLoop.__init__ = initialise_and_count  # type: ignore[method-assign]
    return made


def give_private_names() -> None:
    """Private names of asyncio's on classes other than the loop, which tests look at."""
    names: dict[type[Any], dict[str, Callable[[Any], object]]] = {
        Server: {"_waiters": lambda server: server._closed_waiters},
        TLSProtocol: {"_app_reading_paused": lambda tls: tls.transport.reading_paused},
        SSLTransport: {
            "_ssl_protocol": lambda transport: transport._tls,
            # Written, but not to be sent before something else makes the connection send.
            "_test__append_write_backlog": lambda transport: transport._tls.outbox.add,
        },
    }
    for owner, attributes in names.items():
        for name, meaning in attributes.items():
            setattr(owner, name, property(meaning))
    # From CPython 3.14 on: what call_soon_threadsafe gives back.
    vars(asyncio.events)["_ThreadSafeHandle"] = SharedHandle
    let_servers_count_connections()


class Nobody:
    """Stands for the transport of a connection, where there is none."""


def let_servers_count_connections() -> None:
    """Up to CPython 3.12 a server only counts its connections, and tests do so without having one.

    From 3.13 on `_attach` and `_detach` take the transport, and tests leave them alone.
    """
    server_class: Any = Server
    attached: list[Nobody] = []

    def attach(server: Server) -> None:
        attached.append(Nobody())
        server.attach(attached[-1])

    server_class._attach = attach
    server_class._detach = lambda server: server.detach(attached.pop())


class LoopUnderTest(miniloop.EventLoop):
    """miniloop's loop, made the way in which the tests make asyncio's: with a selector or without.

    A test class for `select` or `poll` gets the portable poller on top of that selector; one for
    `epoll`, or for none in particular, gets the loop as it is by default.
    """

    _selector: Any = None  # not the view of it that can only be looked at

    def __init__(self, selector: selectors.BaseSelector | None = None, **parts: Any) -> None:
        if selector is not None and not isinstance(selector, selectors.DefaultSelector):
            parts["poller"] = SelectorPoller(selector)
        elif selector is not None:
            selector.close()
        super().__init__(**parts)
        self._selector = self.poller

    def _run_once(self) -> None:
        """One turn."""
        if not self.is_running():
            self.stop()
            self.run_forever()

    def run_turns(self) -> None:
        """As ever; but if a test has replaced `_run_once`, call that whenever we would wait."""
        count = vars(self).get("_run_once")
        if count is None:
            super().run_turns()
            return
        wait = self.poller.wait

        def counting_wait(timeout: float | None) -> Iterable[tuple[int, int]]:
            count()
            return wait(timeout)

        self.poller.wait = counting_wait  # type: ignore[method-assign]
        try:
            super().run_turns()
        finally:
            self.poller.wait = wait  # type: ignore[method-assign]

    def watch_reader(self, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """As ever; but if a test has replaced what adds readers (its sockets are mocks), that."""
        usual = partial(super().watch_reader, context=context)
        return self._replacement("_add_reader", "_start_serving", usual)(*args)

    def watch_writer(self, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """Like `watch_reader`."""
        usual = partial(super().watch_writer, context=context)
        return self._replacement("_add_writer", usual)(*args)

    def _replacement(self, *names: Any) -> Any:
        *private, usual = names
        return next((vars(self)[name] for name in private if name in vars(self)), usual)

    async def sendfile(self, transport: Any, *args: Any, **options: Any) -> int:
        """As ever; but if a test has replaced the system's way of doing it, by that way."""
        native = vars(self).get("_sendfile_native")
        if native is None:
            return await super().sendfile(transport, *args, **options)

        async def send(sock: Any, file: Any, offset: int, count: int | None, _: Any) -> Any:
            return await native(transport, file, offset, count)

        with mock.patch.object(sendfile, "_send_natively", send):
            return await super().sendfile(transport, *args, **options)

    async def _sendfile_native(self, *_: Any) -> int:
        """The way of a loop that has none, with which tests replace the system's."""
        raise asyncio.SendfileNotAvailableError("sendfile syscall is not supported")

    def _stop_serving(self, sock: socket.socket) -> None:
        self.remove_reader(sock)
        sock.close()

    @property
    def _signal_handlers(self) -> Any:
        """Not a view: tests put handlers in."""
        return {} if self.is_closed() else self._signals.handlers


class LoopWithoutSendfile(LoopUnderTest):
    """Stands for BaseSelectorEventLoop, which tests make for a loop without `os.sendfile`."""

    async def sock_sendfile(self, *args: Any, **options: Any) -> int:
        with mock.patch.object(sendfile, "_send_natively", self._sock_sendfile_native):
            return await super().sock_sendfile(*args, **options)

    async def _sock_sendfile_native(self, *_: Any) -> int:
        raise asyncio.SendfileNotAvailableError("sendfile is not available here")


def make_handle(
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Any,
    context: Context | None = None,
) -> miniloop.Handle:
    """A handle, made like asyncio's: for a loop in debug mode it remembers where it was made."""
    context = copy_context() if context is None else context
    if not loop.get_debug():
        return new_handle(callback, args, loop, context)
    handle = new_handle(callback, args, loop, context, debug.DebugHandle)
    handle._source_traceback = capture_stack(sys._getframe(1))
    return handle


def make_timer_handle(
    when: float,
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Any,
    context: Context | None = None,
) -> miniloop.TimerHandle:
    """A timer handle, made like asyncio's."""
    context = copy_context() if context is None else context
    if not loop.get_debug():
        return new_timer(when, callback, args, loop, context)
    handle = new_timer(when, callback, args, loop, context, debug.DebugTimerHandle)
    handle._source_traceback = capture_stack(sys._getframe(1))
    return handle


class ScriptedPoller(Poller):
    """Never sleeps; calls `before_wait` instead."""

    def __init__(self, before_wait: Callable[[], None]) -> None:
        self._poller = default_poller()
        self._before_wait = before_wait

    def __getattribute__(self, name: str) -> Any:
        if name in ("wait", "_poller", "_before_wait"):
            return super().__getattribute__(name)
        return getattr(self._poller, name)

    def wait(self, timeout: float | None) -> Iterable[tuple[int, int]]:
        self._before_wait()
        return self._poller.wait(0)


class ScriptedLoop(LoopUnderTest):
    """The loop of the tests that set the clock by hand: its time moves as a script says.

    The script is a generator. It is sent the deadline of each timer that is scheduled and yields by
    how many seconds the clock then moves on. When the loop is closed, the script must have ended.
    """

    def __init__(self, script: TimeScript | None = None) -> None:
        self._now = 0.0
        self._deadlines: list[float] = []
        self._script = None if script is None else script()
        if self._script is not None:
            next(self._script)
        super().__init__(poller=ScriptedPoller(self._advance), clock=lambda: self._now)

    def call_at(  # type: ignore[override]
        self, when: float, *args: Any, **options: Any
    ) -> Any:
        self._deadlines.append(when)
        return super().call_at(when, *args, **options)

    def call_later(  # type: ignore[override]
        self, delay: float, *args: Any, **options: Any
    ) -> Any:
        return self.call_at(self.time() + delay, *args, **options)

    def run_turns(self) -> None:
        super().run_turns()
        self._advance()

    def advance_time(self, seconds: float) -> None:
        """Move the clock on by hand."""
        self._now += seconds

    def _advance(self) -> None:
        deadlines, self._deadlines = self._deadlines, []
        for when in deadlines:
            if self._script is not None:
                self.advance_time(self._script.send(when) or 0)

    def close(self) -> None:
        if self._script is not None and not self.is_closed():
            script, self._script = self._script, None
            try:
                script.send(0)
            except StopIteration:
                pass
            else:
                raise AssertionError("the loop is closed before the script of its clock has ended")
        super().close()
