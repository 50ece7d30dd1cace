"""Ctrl-C in the loop's own code: a program that goes on with the loop has lost nothing.

Python looks for signals when a function is entered, after a call of a C function, and when a loop
jumps back. `Strike` raises KeyboardInterrupt at the n-th such point in code of ours that no
callback or coroutine has called, for every n there is; and a timer raises it at random moments.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import miniloop
from miniloop.kernel.recovery import snapshot
from miniloop.kernel.scheduler import Scheduler
from tests.builds import pure_only
from tests.strikes import Strike

pytestmark = pure_only

OURS = str(Path(miniloop.__file__).parent)
# What the interpreter itself calls when something is collected: it swallows what that raises. (A
# generator that is dropped half-way is, too.)
COLLECTED = ("forget", "_forget", "__del__", "<genexpr>")
Scenario = Callable[[asyncio.AbstractEventLoop], Coroutine[Any, Any, Any]]


def in_the_loop_s_own_code(frame: FrameType | None) -> bool:
    """Whether neither a callback nor a coroutine of somebody else is under way."""
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(OURS) or code.co_name in COLLECTED:
            return False
        if code is Scheduler.run_turns.__code__:
            return True
        frame = frame.f_back
    return False


async def talk_over_sockets(loop: asyncio.AbstractEventLoop) -> int:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)

    async def answer() -> None:
        while data := await loop.sock_recv(right, 10):
            await loop.sock_sendall(right, data)

    with right:
        with left:
            peer = loop.create_task(answer())
            count = 0
            for _ in range(3):
                await loop.sock_sendall(left, b"x")
                count += len(await loop.sock_recv(left, 10))
        await peer
    return count


async def sleep(loop: asyncio.AbstractEventLoop) -> int:
    for _ in range(3):
        await asyncio.sleep(0)
        await asyncio.sleep(0.0001)
    return 3


async def await_tasks(loop: asyncio.AbstractEventLoop) -> int:
    async def nothing() -> int:
        await asyncio.sleep(0)
        return 1

    return sum(await asyncio.gather(nothing(), nothing())) + await loop.create_task(nothing())


def ignore(future: asyncio.Future[int]) -> None:
    pass


async def await_futures(loop: asyncio.AbstractEventLoop) -> int:
    total = 0
    for number in range(3):
        future = loop.create_future()
        future.add_done_callback(ignore)
        future.add_done_callback(ignore)
        loop.call_soon(
            lambda future, number: future.done() or future.set_result(number), future, number
        )
        total += await future
    return total


async def await_futures_of_asyncio(loop: asyncio.AbstractEventLoop) -> int:
    total = 0
    for number in range(3):
        future: asyncio.Future[int] = asyncio.Future(loop=loop)
        loop.call_soon(
            lambda future, number: future.done() or future.set_result(number), future, number
        )
        total += await future
    return total


async def fail_and_cancel(loop: asyncio.AbstractEventLoop) -> int:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def waits() -> None:
        await loop.create_future()

    caught = 0
    try:
        await loop.create_task(fails())
    except LookupError:
        caught += 1
    task = loop.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        caught += 1
    try:
        async with asyncio.timeout(0.0001):
            await loop.create_future()
    except TimeoutError:
        caught += 1
    return caught


async def iterate(loop: asyncio.AbstractEventLoop) -> int:
    async def numbers() -> Any:
        for number in range(3):
            await loop.create_task(asyncio.sleep(0))
            await asyncio.sleep(0)
            yield number

    return sum([number async for number in numbers()])


async def watch_a_descriptor(loop: asyncio.AbstractEventLoop) -> int:
    left, right = socket.socketpair()
    left.setblocking(False)
    got = asyncio.Semaphore(0)
    heard: list[bytes] = []

    def readable() -> None:
        heard.append(left.recv(10))
        got.release()

    with left, right:
        loop.add_reader(left, readable)
        for _ in range(3):
            right.send(b"x")
            await got.acquire()
        loop.remove_reader(left)
    return len(heard)


async def call_at_times(loop: asyncio.AbstractEventLoop) -> list[int]:
    called: list[int] = []
    now = loop.time()
    for number in range(8):
        loop.call_at(now + number * 1e-6, called.append, number)
    for _ in range(8):
        loop.call_soon(called.append, -1).cancel()
        loop.call_at(now, called.append, -1).cancel()
    while len(called) < 8:
        await asyncio.sleep(0)
    return called


async def hear_signals(loop: asyncio.AbstractEventLoop) -> set[int]:
    heard: set[int] = set()
    told = asyncio.Event()

    def hear(number: int) -> None:
        heard.add(number)
        if len(heard) == 2:
            told.set()

    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.add_signal_handler(number, hear, number)
        signal.raise_signal(number)
    await told.wait()
    return heard


async def call_in_a_thread(loop: asyncio.AbstractEventLoop) -> int:
    return sum([await loop.run_in_executor(None, int, "1") for _ in range(3)])


async def send_datagrams(loop: asyncio.AbstractEventLoop) -> int:
    async def lost(protocol: Told) -> int:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: protocol, local_addr=("127.0.0.1", 0)
        )
        transport.close()
        await protocol.lost
        return protocol.told

    return await lost(Told(loop)) + await lost(Told(loop))


class Told(asyncio.DatagramProtocol):
    """Counts how often it is told of the beginning and of the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.told = 0
        self.lost = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.told += 10
        self.lost.set_result(None)


SCENARIOS: dict[Scenario, Any] = {
    talk_over_sockets: 3,
    sleep: 3,
    await_tasks: 3,
    await_futures: 3,
    await_futures_of_asyncio: 3,
    fail_and_cancel: 3,
    iterate: 3,
    watch_a_descriptor: 3,
    call_at_times: list(range(8)),
    hear_signals: {signal.SIGUSR1, signal.SIGUSR2},
    call_in_a_thread: 3,
    send_datagrams: 22,
}


def run_struck(
    loop: miniloop.EventLoop, task: Any, strike: Strike, raised: type[BaseException]
) -> bool:
    """Run the task, strike, and run it to its end. Gives whether `raised` came out of the loop."""
    try:
        sys.setprofile(strike)
        try:
            loop.run_until_complete(task)
        finally:
            sys.setprofile(None)
        struck = False
    except raised:
        struck = True
    loop.run_until_complete(asyncio.wait([task], timeout=10))
    return struck


@pytest.mark.timeout(120)
@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_nothing_is_lost_wherever_in_the_loop_s_code_it_strikes(
    scenario: Scenario, debug: bool
) -> None:
    strikes = 0
    for at in range(1, 5000):
        loop = miniloop.new_event_loop()
        loop.set_debug(debug)
        reports: list[Any] = []
        loop.set_exception_handler(lambda loop, context, reports=reports: reports.append(context))
        task = loop.create_task(scenario(loop))
        strike = Strike(at, in_the_loop_s_own_code)
        strikes += run_struck(loop, task, strike, KeyboardInterrupt)
        assert task.done(), f"stuck after strike {at}: {task!r}"
        assert task._exception is None, f"failed after strike {at}: {task._exception!r}"
        assert task.result() == SCENARIOS[scenario]
        assert reports == []
        assert asyncio.all_tasks(loop) == set()
        loop.close()
        if strike.left > 0:
            break
    assert strikes > 20


class Alarm(Exception):
    """What a signal's handler may raise as well."""


class Signal(Strike):
    """Raises an ordinary exception, at the points where the loop itself can be struck."""

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        try:
            super().__call__(frame, event, argument)
        except KeyboardInterrupt:
            raise Alarm from None


# Without those that await futures of other makes, which may raise what they like when asked.
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "scenario",
    [talk_over_sockets, sleep, await_futures, iterate, watch_a_descriptor, call_in_a_thread],
    ids=lambda scenario: scenario.__name__,
)
def test_an_ordinary_exception_of_a_signal_s_handler_ends_no_task(scenario: Scenario) -> None:
    strikes = 0
    for at in range(1, 5000):
        loop = miniloop.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        task = loop.create_task(scenario(loop))
        strike = Signal(at, in_the_loop_s_own_code)
        strikes += run_struck(loop, task, strike, Alarm)
        assert task.done(), f"stuck after strike {at}: {task!r}"
        assert task._exception is None, f"failed after strike {at}: {task._exception!r}"
        assert task.result() == SCENARIOS[scenario]
        loop.close()
        if strike.left > 0:
            break
    assert strikes > 20


def test_a_context_that_cannot_be_entered_fails_its_task(mini: miniloop.EventLoop) -> None:
    context = contextvars.copy_context()
    coroutine = asyncio.sleep(0)
    task = mini.create_task(coroutine, context=context)
    with pytest.raises(RuntimeError, match="enter"):
        context.run(mini.run_until_complete, task)
    coroutine.close()  # it has never begun


def test_code_of_the_program_may_make_a_task_while_others_are_put_in_their_places(
    mini: miniloop.EventLoop,
) -> None:
    made: list[asyncio.Task[None]] = []
    interrupted = False

    class MakesTasks(asyncio.Future[None]):
        def done(self) -> bool:
            if interrupted:
                made.append(mini.create_task(asyncio.sleep(0)))
            return super().done()

    async def wait_for(future: asyncio.Future[None]) -> None:
        await future

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    futures = [MakesTasks(loop=mini) for _ in range(2)]
    tasks = [mini.create_task(wait_for(future)) for future in futures]
    mini.call_soon(mini.call_soon, interrupt)
    with pytest.raises(KeyboardInterrupt):
        mini.run_forever()
    interrupted = False
    for future in futures:
        future.set_result(None)
    assert made
    mini.run_until_complete(asyncio.gather(*tasks, *made))


@pytest.mark.timeout(120)
def test_a_child_is_waited_for_wherever_it_strikes() -> None:
    async def run_a_child() -> int:
        process = await asyncio.create_subprocess_exec("true", stdin=asyncio.subprocess.PIPE)
        return await process.wait()

    for at in range(1, 5000):
        loop = miniloop.new_event_loop()
        task = loop.create_task(run_a_child())
        strike = Strike(at, in_the_loop_s_own_code)
        run_struck(loop, task, strike, KeyboardInterrupt)
        assert task.done(), f"stuck after strike {at}: {task!r}"
        # An interrupt at the very return of `waitpid` loses the status; asyncio says 255 then.
        assert task.result() in (0, 255)
        loop.close()
        if strike.left > 0:
            break


def test_the_queue_keeps_its_order(mini: miniloop.EventLoop) -> None:
    called: list[int] = []

    def interrupted(number: int) -> None:
        called.append(number)
        raise KeyboardInterrupt

    for number in range(50):
        mini.call_soon(interrupted if number % 7 == 3 else called.append, number)
    mini.call_soon(mini.stop)
    interrupts = 0
    while True:
        try:
            mini.run_forever()
        except KeyboardInterrupt:
            interrupts += 1
        else:
            break
    assert called == list(range(50))
    assert interrupts == 7


@pytest.mark.timeout(120)
def test_no_task_is_stuck_after_500_interrupts_at_random_moments() -> None:
    loop = miniloop.new_event_loop()
    chance = random.Random(5)
    ticks: collections.Counter[str] = collections.Counter()
    sockets = [sock for _ in range(2) for sock in socket.socketpair()]
    for sock in sockets:
        sock.setblocking(False)

    async def ask(sock: socket.socket) -> None:
        while True:
            await loop.sock_sendall(sock, b"x")
            await loop.sock_recv(sock, 10)
            ticks["sockets"] += 1

    async def answer(sock: socket.socket) -> None:
        while True:
            await loop.sock_sendall(sock, await loop.sock_recv(sock, 10))

    async def doze() -> None:
        while True:
            await asyncio.sleep(0.0003)
            ticks["timers"] += 1

    async def spin() -> None:
        while True:
            await loop.create_task(asyncio.sleep(0))
            ticks["tasks"] += 1

    tasks = [
        loop.create_task(work)
        for work in (ask(sockets[0]), answer(sockets[1]), ask(sockets[2]), answer(sockets[3]))
    ]
    tasks += [loop.create_task(doze()), loop.create_task(spin())]

    def strike(number: int, frame: FrameType | None) -> None:
        if in_the_loop_s_own_code(frame):
            raise KeyboardInterrupt
        signal.setitimer(signal.ITIMER_REAL, 0.00003)

    usual = signal.signal(signal.SIGALRM, strike)
    interrupts = 0
    try:
        while interrupts < 500:
            deadline = loop.call_later(0.05, loop.stop)
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0002, 0.002))
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                interrupts += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            deadline.cancel()
            before = ticks.copy()
            wanted = ("sockets", "timers", "tasks")
            patience = loop.call_later(10, loop.stop)
            while (
                not all(ticks[kind] > before[kind] for kind in wanted) and not patience.cancelled()
            ):
                loop.call_later(0.001, loop.stop)
                loop.run_forever()
                assert loop.time() < patience.when(), f"stuck: {ticks - before}"
            patience.cancel()
            assert not any(task.done() for task in tasks)
    finally:
        signal.signal(signal.SIGALRM, usual)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.wait(tasks))
    loop.close()
    for sock in sockets:
        sock.close()


def test_the_queue_is_looked_at_while_a_thread_appends() -> None:
    ready: collections.deque[Any] = collections.deque([1])
    over = threading.Event()

    def append() -> None:
        while not over.is_set():
            ready.append(None)
            ready.pop()

    thread = threading.Thread(target=append)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(400_000):
            assert snapshot(ready)[0] == 1
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
