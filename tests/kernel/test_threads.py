"""Calls from other threads: none is lost, and many cost one wake-up."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest

import miniloop
from miniloop.kernel.poller import EpollPoller, SelectorPoller
from miniloop.kernel.wakeup import TRIES

Turn = Callable[[asyncio.AbstractEventLoop], None]


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)  # a failure must not wait for it
    thread.start()
    return thread


def test_a_call_from_a_thread_wakes_a_sleeping_loop(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[int] = []
    asleep = threading.Event()

    def stop() -> None:
        seen.append(threading.get_ident())
        loop.stop()

    def call() -> None:
        asleep.wait()
        loop.call_soon_threadsafe(stop)

    thread = in_thread(call)
    loop.call_soon(asleep.set)
    loop.run_forever()  # for ever, if nobody wakes it
    thread.join()
    assert seen == [threading.get_ident()]


def test_a_thread_has_its_turns_beside_a_loop_that_is_always_busy(
    loop: asyncio.AbstractEventLoop,
) -> None:
    def take_turns() -> int:
        for _ in range(20):
            time.sleep(0)  # lets go of the interpreter, and wants it back
        return threading.get_ident()

    async def main() -> int:
        thread = loop.run_in_executor(None, take_turns)
        while not thread.done():
            await asyncio.sleep(0)
        return await thread

    assert loop.run_until_complete(main()) != threading.get_ident()


def test_many_calls_cost_one_wake_up(mini: miniloop.EventLoop, turn: Turn) -> None:
    wakes: list[int] = []
    ran: list[int] = []
    inner_wake = mini.wakeup.wake
    inner_wait = mini.poller.wait

    class CountingWakeup:
        """Stands in for the loop's wake-up, whose methods cannot be replaced one by one."""

        fileno = mini.wakeup.fileno
        drain = mini.wakeup.drain

        @staticmethod
        def wake() -> bool:
            wakes.append(1)
            return inner_wake()

    def call_a_hundred_times() -> None:
        for number in range(100):
            mini.call_soon_threadsafe(ran.append, number)
        mini.call_soon_threadsafe(mini.stop)

    def wait(timeout: float | None) -> object:
        if timeout is None:  # the loop is about to sleep: the thread's calls all come now
            in_thread(call_a_hundred_times).join()
        return inner_wait(timeout)

    wakeup, mini.wakeup = mini.wakeup, CountingWakeup()  # type: ignore[assignment]
    mini.poller.wait = wait  # type: ignore[method-assign, assignment]
    mini.run_forever()
    mini.wakeup = wakeup
    assert ran == list(range(100))
    assert len(wakes) == 1


def test_a_call_to_a_busy_loop_costs_no_wake_up(mini: miniloop.EventLoop) -> None:
    ran: list[str] = []

    def call_from_outside() -> None:
        in_thread(lambda: mini.call_soon_threadsafe(ran.append, "thread")).join()
        assert not mini.asleep
        mini.call_soon(mini.stop)

    mini.call_soon(call_from_outside)
    mini.wakeup.close()  # so that a wake-up would not go unnoticed: it would not arrive
    mini.poller.unwatch_reader(mini.wakeup.fileno())
    mini.run_forever()
    assert ran == ["thread"]


@pytest.mark.parametrize("poller", [EpollPoller, SelectorPoller])
@pytest.mark.parametrize("threads", [1, 4])
def test_no_wake_up_is_lost_under_stress(
    poller: type[EpollPoller] | type[SelectorPoller], threads: int
) -> None:
    # Each thread waits for its call to have run before it makes the next, so that the loop falls
    # asleep again and again, and a single lost wake-up is a hang.
    loop = miniloop.EventLoop(poller=poller())
    rounds = 2000 // threads
    left = threads

    def finished() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            loop.stop()

    def ping_pong() -> None:
        ran = threading.Event()
        for _ in range(rounds):
            ran.clear()
            loop.call_soon_threadsafe(ran.set)
            ran.wait()
        loop.call_soon_threadsafe(finished)

    workers = [in_thread(ping_pong) for _ in range(threads)]
    loop.run_forever()
    for worker in workers:
        worker.join()
    loop.close()


def test_no_call_is_lost_nor_reordered_under_a_flood(loop: asyncio.AbstractEventLoop) -> None:
    threads, calls = 4, 2000
    ran: list[tuple[int, int]] = []

    def flood(thread: int) -> None:
        for number in range(calls):
            loop.call_soon_threadsafe(ran.append, (thread, number))

    async def wait_for_all() -> None:
        await asyncio.gather(*(asyncio.to_thread(flood, thread) for thread in range(threads)))

    loop.run_until_complete(wait_for_all())
    loop.run_until_complete(loop.shutdown_default_executor())
    for thread in range(threads):
        assert [number for which, number in ran if which == thread] == list(range(calls))


def test_futures_of_threads_can_be_awaited(loop: asyncio.AbstractEventLoop) -> None:
    async def work() -> tuple[int, int]:
        answer = await asyncio.to_thread(lambda: 42)
        outer: concurrent.futures.Future[int] = concurrent.futures.Future()
        wrapped = asyncio.wrap_future(outer)
        in_thread(lambda: outer.set_result(43)).join()
        return answer, await wrapped

    assert loop.run_until_complete(work()) == (42, 43)
    loop.run_until_complete(loop.shutdown_default_executor())


def test_a_thread_can_run_a_coroutine_on_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    async def work() -> int:
        def ask() -> int:
            return asyncio.run_coroutine_threadsafe(answer(), loop).result()

        return await asyncio.to_thread(ask)

    assert loop.run_until_complete(work()) == 42
    loop.run_until_complete(loop.shutdown_default_executor())


def test_a_python_signal_handler_may_call_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    # `signal.signal`, not `add_signal_handler`: the handler runs between two instructions, perhaps
    # after the loop has decided to sleep and before it does, or inside the system call.
    left = 200
    answered = threading.Event()
    finished = threading.Event()
    main = threading.get_ident()

    def handler(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(answer)

    def answer() -> None:
        nonlocal left
        left -= 1
        answered.set()
        if left == 0:
            loop.stop()

    def send() -> None:
        while not finished.is_set():
            signal.pthread_kill(main, signal.SIGUSR1)
            # A signal that comes in the last instant before the system call is seen after it, so
            # that only the next one ends it. It is why `add_signal_handler` has a descriptor.
            answered.wait(0.001)
            answered.clear()

    before = signal.signal(signal.SIGUSR1, handler)
    thread = in_thread(send)
    try:
        loop.run_forever()
    finally:
        finished.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert left <= 0


def test_a_call_after_the_loop_was_closed_is_refused_in_the_thread(
    loop: asyncio.AbstractEventLoop,
) -> None:
    loop.close()
    refused: list[str] = []

    def call() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as exc:
            refused.append(str(exc))

    in_thread(call).join()
    assert refused == ["Event loop is closed"]


def test_a_wake_up_that_fails_does_not_make_the_loop_deaf(
    mini: miniloop.EventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []
    refused = 0
    inner_wait = mini.poller.wait
    writer = mini.wakeup._writer

    class ShortOfMemory:
        """The kernel refuses a whole call, with all its tries, and nothing after that."""

        fileno = writer.fileno
        close = writer.close

        @staticmethod
        def send(data: bytes) -> int:
            nonlocal refused
            if refused < TRIES:
                refused += 1
                raise OSError(errno.ENOBUFS, "No buffer space available")
            return writer.send(data)

    def call_from_outside() -> None:
        mini.call_soon_threadsafe(ran.append, 1)  # cannot wake it, and does not raise either
        mini.call_soon_threadsafe(ran.append, 2)
        mini.call_soon_threadsafe(mini.stop)

    def wait(timeout: float | None) -> object:
        if timeout is None:  # the loop is about to sleep for ever
            in_thread(call_from_outside).join()
        return inner_wait(timeout)

    mini.wakeup._writer = ShortOfMemory()  # type: ignore[assignment]
    mini.poller.wait = wait  # type: ignore[method-assign, assignment]
    mini.run_forever()
    assert refused == TRIES
    assert ran == [1, 2]
    assert "could not be woken" in caplog.text


def test_a_broken_wake_up_is_reported_once_and_replaced(mini: miniloop.EventLoop) -> None:
    reports: list[dict[str, object]] = []
    mini.set_exception_handler(lambda loop, context: reports.append(context))
    mini.wakeup._writer.close()  # end of file, for ever
    ran: list[str] = []

    def second_call() -> None:
        # A loop that has replaced its wake-up hears of this.
        in_thread(lambda: mini.call_soon_threadsafe(ran.append, "from a thread")).join()
        mini.call_later(0.01, mini.stop)

    mini.call_later(0.01, second_call)
    mini.run_forever()
    assert ran == ["from a thread"]
    assert [report["message"] for report in reports] == [
        "the wake-up descriptor of the loop failed and was replaced"
    ]


# Cancelling from another thread: since CPython 3.14 it waits for a call that has begun.

waits = pytest.mark.skipif(sys.version_info < (3, 14), reason="since CPython 3.14")


@waits
@pytest.mark.parametrize("debug", [False, True])
def test_cancelling_a_call_that_runs_waits_for_its_end(
    loop: asyncio.AbstractEventLoop, debug: bool
) -> None:
    loop.set_debug(debug)
    began, end = threading.Event(), threading.Event()
    seen: list[str] = []

    def callback() -> None:
        began.set()
        end.wait()
        seen.append("ended")

    def cancel() -> None:
        handle = loop.call_soon_threadsafe(callback)
        began.wait()
        threading.Timer(0.05, end.set).start()  # most likely while we wait
        handle.cancel()
        seen.append("cancelled")
        assert handle.cancelled()
        loop.call_soon_threadsafe(loop.stop)

    thread = in_thread(cancel)
    loop.run_forever()
    thread.join()
    assert seen == ["ended", "cancelled"]


@waits
def test_a_call_from_a_thread_may_cancel_itself(loop: asyncio.AbstractEventLoop) -> None:
    handles: list[asyncio.Handle] = []
    seen: list[bool] = []

    def callback() -> None:
        handles[0].cancel()
        seen.append(handles[0].cancelled())
        loop.stop()

    handles.append(loop.call_soon_threadsafe(callback))
    loop.run_forever()
    assert seen == [True]
