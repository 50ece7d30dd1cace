"""The loop under test: an `EventLoop` with a virtual clock, a closed world and threads in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import wraps
from typing import Any, TypeVar, TypeVarTuple

from miniloop.loop import EventLoop
from miniloop.testing.clock import VirtualClock
from miniloop.testing.outside import ClosedNetwork, Outside, refuse
from miniloop.testing.poller import VirtualPoller
from miniloop.testing.threads import Threads

__all__ = ["LoopUnderTest", "new_loop_under_test", "virtual_event_loop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_CLOSED_NETWORK = ClosedNetwork()


def new_loop_under_test(
    *,
    ready: deque[Any] | None = None,
    start: float = 0.0,
    until: float | None = None,
    real_io: bool | float = False,
    network: Outside | None = None,
    seed: int = 0,
) -> LoopUnderTest:
    """A loop for one run: see `miniloop.testing.run` for what the arguments mean."""
    clock = VirtualClock(start)
    poller = VirtualPoller(
        clock,
        outside=network,
        real_io=real_io is not False,
        until=None if until is None else start + until,
    )
    if real_io is not True and real_io is not False:
        poller.patience = real_io
    loop = LoopUnderTest(clock, poller, ready, network, is_closed=real_io is False)
    if network is not None:
        network.begin(loop, clock, seed)
    return loop


def virtual_event_loop() -> LoopUnderTest:
    """A loop with a virtual clock that starts at 0, in a closed world: a loop factory.

    For tests that are run by somebody else: `loop_factory` of `IsolatedAsyncioTestCase` and of
    `asyncio.Runner`, the hook `pytest_asyncio_loop_factories`, the backend options of anyio.
    """
    return new_loop_under_test()


class LoopUnderTest(EventLoop):
    """One run of a program under test."""

    poller: VirtualPoller

    def __init__(
        self,
        clock: VirtualClock,
        poller: VirtualPoller,
        ready: deque[Any] | None,
        network: Outside | None,
        *,
        is_closed: bool,
    ) -> None:
        joints: dict[str, Any] = {}
        if network is not None:
            joints["network"] = network
        elif is_closed:
            joints["network"] = _CLOSED_NETWORK
        super().__init__(poller=poller, clock=clock, ready=ready, **joints)
        self.virtual_clock = clock
        self.has_closed_world = is_closed
        self._outside = network
        self._home = threading.get_ident()
        self.on_run_ended: Callable[[], object] | None = None
        poller.attach(self)

    @property
    def threads(self) -> Threads:
        """What threads do for this loop."""
        return self.poller.threads

    def run_forever(self) -> None:
        """Run until stopped. Raises EverybodyWaits or TooLong if that is how it ended."""
        self._home = threading.get_ident()
        try:
            super().run_forever()
        finally:
            if self.on_run_ended is not None:
                self.on_run_ended()
        verdict, self.poller.verdict = self.poller.verdict, None
        if verdict is not None:
            raise verdict()

    def close(self) -> None:
        """Close the loop, and end the run of the simulated network."""
        if self._outside is not None and not self.is_closed() and not self.is_running():
            self._outside.end()
        super().close()

    # Threads.

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Any:
        """As usual, but what comes from another thread waits until it can be taken in order."""
        if threading.get_ident() == self._home:
            return super().call_soon_threadsafe(callback, *args, context=context)
        self._check_closed()
        handle = self.make_shared_handle(
            callback, args, self, copy_context() if context is None else context
        )
        self.threads.hand_over(handle)
        return handle

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> Any:
        """As usual; the call counts as work until its result is here."""
        if executor is None and not self._executor_shutdown_called:
            if self._default_executor is None:
                self.set_default_executor(ThreadPoolExecutor(thread_name_prefix="miniloop"))
            executor = self._default_executor
        if executor is None:
            return super().run_in_executor(executor, func, *args)  # which says why not
        counted = _Counted(executor, self.threads)
        try:
            result = super().run_in_executor(counted, func, *args)
        finally:
            counted.is_awaited.set()
        # After the callback that hands the result over.
        counted.call.add_done_callback(lambda call: self.threads.ended(counted.number))
        return result

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As usual. Its threads are idle, unless a call of the program never ends."""
        number = self.threads.begin(is_the_loops_own=True)
        try:
            await super().shutdown_default_executor(timeout)
        finally:
            self.threads.ended(number)

    # What the closed world refuses.

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """As usual; from now on the kernel is asked too."""
        super().add_signal_handler(sig, callback, *args)
        self.poller.listen_to_the_kernel()

    async def subprocess_exec(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """As ever, with real I/O only."""
        if self.has_closed_world:
            refuse("subprocess_exec()", "a real process")
        return await super().subprocess_exec(protocol_factory, *args, **options)

    async def subprocess_shell(self, protocol_factory: Any, cmd: Any, **options: Any) -> Any:
        """As ever, with real I/O only."""
        if self.has_closed_world:
            refuse("subprocess_shell()", "a real process")
        return await super().subprocess_shell(protocol_factory, cmd, **options)

    async def connect_read_pipe(self, protocol_factory: Callable[[], Any], pipe: Any) -> Any:
        """As ever, with real I/O only."""
        if self.has_closed_world:
            refuse("connect_read_pipe()", "a real pipe")
        return await super().connect_read_pipe(protocol_factory, pipe)

    async def connect_write_pipe(self, protocol_factory: Callable[[], Any], pipe: Any) -> Any:
        """As ever, with real I/O only."""
        if self.has_closed_world:
            refuse("connect_write_pipe()", "a real pipe")
        return await super().connect_write_pipe(protocol_factory, pipe)

    def _refuse_real(self, call: str, sock: Any) -> None:
        if not self.has_closed_world or sock is None:
            return
        number = sock.fileno()
        if number >= 0 and (self._outside is None or not self._outside.owns(number)):
            refuse(f"{call}()", "a real socket")


def _with_a_look_at_the_socket(name: str, at: int | None) -> None:
    """Have a method refuse a real socket, which may succeed at once, so that no poller sees it.

    `at`: which argument it is; None for the keyword `sock`.
    """
    inherited = getattr(EventLoop, name)

    @wraps(inherited)
    def method(self: LoopUnderTest, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        self._refuse_real(name, options.get("sock") if at is None else args[at] if args else None)
        result: Coroutine[Any, Any, Any] = inherited(self, *args, **options)
        return result

    setattr(LoopUnderTest, name, method)


for _name in EventLoop.__dict__:
    if _name.startswith("sock_"):
        _with_a_look_at_the_socket(_name, 0)
for _name in (
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "create_datagram_endpoint",
):
    _with_a_look_at_the_socket(_name, None)
_with_a_look_at_the_socket("connect_accepted_socket", 1)


class _Counted(Executor):
    """An executor for one call, whose thread knows the call's number."""

    def __init__(self, executor: Executor, threads: Threads) -> None:
        self._executor = executor
        self._threads = threads
        self.number = 0
        self.is_awaited = threading.Event()
        self.call: Future[Any]

    def submit(self, fn: Callable[..., T], /, *args: Any, **options: Any) -> Future[T]:
        """Have the executor run it."""
        self.number = number = self._threads.begin()
        try:
            if isinstance(self._executor, ThreadPoolExecutor):
                self.call = self._executor.submit(
                    self._threads.call, number, self.is_awaited, fn, *args
                )
            else:  # which may want to pickle it
                self.call = self._executor.submit(fn, *args)
        except BaseException:
            self._threads.ended(number)
            raise
        return self.call
