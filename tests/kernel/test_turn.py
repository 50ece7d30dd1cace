"""One turn of the loop: its four phases, what belongs to it and what to the next."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import miniloop
from miniloop.kernel.poller import EpollPoller, Poller, SelectorPoller

Turn = Callable[[asyncio.AbstractEventLoop], None]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def test_calls_run_in_the_order_in_which_they_were_made(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    ran: list[int] = []
    for number in range(100):
        loop.call_soon(ran.append, number)
    turn(loop)
    assert ran == list(range(100))


def test_what_a_call_adds_runs_in_the_next_turn(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        loop.call_soon(ran.append, "added")

    loop.call_soon(first)
    loop.call_soon(ran.append, "second")
    turn(loop)
    assert ran == ["first", "second"]
    turn(loop)
    assert ran == ["first", "second", "added"]


def test_a_turn_delivers_io_then_timers_after_what_was_ready(
    loop: asyncio.AbstractEventLoop, turn: Turn, pair: tuple[socket.socket, socket.socket]
) -> None:
    order: list[str] = []
    left, right = pair
    right.send(b"x")
    loop.add_reader(left, order.append, "readable")
    loop.call_at(loop.time() - 1, order.append, "due")
    loop.call_soon(order.append, "ready")
    turn(loop)
    loop.remove_reader(left)
    assert order == ["ready", "readable", "due"]


class RecordingPoller(EpollPoller):
    """Notes each time the loop enters the kernel, and when it delivers what it brought back."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self._log = log
        inner_wait = self.wait

        def wait(timeout: float | None) -> Iterable[tuple[int, int]]:
            log.append("wait")
            return inner_wait(timeout)

        self.wait = wait

    def deliver(self, events: Iterable[tuple[int, int]], enqueue: Callable[[Any], object]) -> None:
        self._log.append("deliver")
        super().deliver(events, enqueue)


def test_the_four_phases_come_in_their_order(
    turn: Turn, pair: tuple[socket.socket, socket.socket]
) -> None:
    log: list[str] = []
    poller = RecordingPoller(log)
    loop = miniloop.EventLoop(poller=poller)
    try:
        left, right = pair
        right.send(b"x")
        loop.add_reader(left, log.append, "run reader")
        loop.call_at(0, log.append, "run timer")
        turn(loop)
        loop.remove_reader(left)
        assert log == ["wait", "deliver", "run reader", "run timer"]
    finally:
        loop.close()


def test_a_stop_in_the_middle_of_a_turn_lets_the_turn_finish(
    loop: asyncio.AbstractEventLoop,
) -> None:
    ran: list[str] = []
    loop.call_soon(ran.append, "before")
    loop.call_soon(loop.stop)
    loop.call_soon(ran.append, "after")
    loop.call_soon(loop.call_soon, ran.append, "next turn")
    loop.run_forever()
    assert ran == ["before", "after"]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == ["before", "after", "next turn"]


def test_a_stop_before_the_run_lasts_for_one_turn_and_does_not_wait(
    loop: asyncio.AbstractEventLoop,
) -> None:
    loop.stop()
    loop.run_forever()  # would sleep for ever, with nothing to do, if it waited
    ran: list[int] = []
    loop.call_soon(ran.append, 1)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == [1]


def test_a_turn_by_hand_delivers_io(
    loop: asyncio.AbstractEventLoop, turn: Turn, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    received: list[bytes] = []
    loop.add_reader(left, lambda: received.append(left.recv(10)))
    turn(loop)
    assert received == []
    right.send(b"hello")
    turn(loop)
    loop.remove_reader(left)
    assert received == [b"hello"]


def test_a_loop_can_be_run_again_after_it_was_stopped(loop: asyncio.AbstractEventLoop) -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert [loop.run_until_complete(answer()) for _ in range(3)] == [42, 42, 42]


def test_a_loop_knows_whether_it_runs(loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
    seen: list[bool] = []
    loop.call_soon(lambda: seen.append(loop.is_running()))
    assert not loop.is_running()
    turn(loop)
    assert seen == [True]
    assert not loop.is_running()


def test_the_running_loop_is_set_while_it_runs_and_put_back(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    seen: list[asyncio.AbstractEventLoop] = []
    loop.call_soon(lambda: seen.append(asyncio.get_running_loop()))
    turn(loop)
    assert seen == [loop]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_a_running_loop_cannot_be_run_again(mini: miniloop.EventLoop) -> None:
    # Ours alone: CPython 3.13.0 refuses the first time, and forgets then that it is running.
    async def run_inside() -> str:
        coroutine = asyncio.sleep(0)
        for attempt in (mini.run_forever, lambda: mini.run_until_complete(coroutine)):
            with pytest.raises(RuntimeError, match="This event loop is already running"):
                attempt()
        coroutine.close()
        assert asyncio.get_running_loop() is mini
        return await asyncio.sleep(0, "still alive")

    assert mini.run_until_complete(run_inside()) == "still alive"


def test_a_loop_cannot_be_run_inside_another(
    mini: miniloop.EventLoop, loop: asyncio.AbstractEventLoop
) -> None:
    async def run_inside() -> str:
        coroutine = asyncio.sleep(0)
        for attempt in (mini.run_forever, lambda: mini.run_until_complete(coroutine)):
            with pytest.raises(RuntimeError, match="while another loop is running"):
                attempt()
        coroutine.close()
        return await asyncio.sleep(0, "still alive")

    assert loop.run_until_complete(run_inside()) == "still alive"
    assert mini.run_until_complete(asyncio.sleep(0, "and so is it")) == "and so is it"


def test_a_running_loop_cannot_be_closed(loop: asyncio.AbstractEventLoop) -> None:
    async def close() -> None:
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.run_until_complete(close())
    assert not loop.is_closed()


def test_closing_twice_does_nothing(loop: asyncio.AbstractEventLoop) -> None:
    loop.close()
    loop.close()
    assert loop.is_closed()


def test_a_closed_loop_refuses_everything(
    loop: asyncio.AbstractEventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    loop.close()
    coroutine = asyncio.sleep(0)
    attempts: list[Callable[[], object]] = [
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(0, print),
        lambda: loop.call_at(0, print),
        lambda: loop.run_in_executor(None, print),
        lambda: loop.create_task(coroutine),
        lambda: loop.add_reader(pair[0], print),
        lambda: loop.add_writer(pair[0], print),
        loop.run_forever,
        lambda: loop.run_until_complete(coroutine),
    ]
    for attempt in attempts:
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            attempt()
    coroutine.close()
    assert loop.remove_reader(pair[0]) is False
    assert loop.remove_writer(pair[0]) is False
    assert not loop.is_running()
    assert loop.time() > 0


def test_closing_drops_what_was_queued(loop: asyncio.AbstractEventLoop) -> None:
    ran: list[int] = []
    handle = loop.call_soon(ran.append, 1)
    timer = loop.call_later(0, ran.append, 2)
    loop.close()
    handle.cancel()
    timer.cancel()
    assert ran == []


def test_run_until_complete_says_so_when_it_is_stopped_early(
    loop: asyncio.AbstractEventLoop,
) -> None:
    loop.call_soon(loop.stop)
    waiting = loop.create_future()
    with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
        loop.run_until_complete(waiting)


def test_a_run_that_ctrl_c_ends_does_not_end_the_next_one(mini: miniloop.EventLoop) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    first = mini.create_future()
    first.add_done_callback(lambda _: interrupt())  # runs before what would end the run
    mini.call_soon(first.set_result, None)
    with pytest.raises(KeyboardInterrupt):
        mini.run_until_complete(first)
    # In asyncio: "Event loop stopped before Future completed."
    assert mini.run_until_complete(asyncio.sleep(0.01, "slept")) == "slept"


def test_run_until_complete_gives_results_and_raises_failures(
    loop: asyncio.AbstractEventLoop,
) -> None:
    done = loop.create_future()
    done.set_result("here")
    assert loop.run_until_complete(done) == "here"

    async def fail() -> None:
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        loop.run_until_complete(fail())


def test_run_until_complete_refuses_what_cannot_be_awaited(
    loop: asyncio.AbstractEventLoop,
) -> None:
    with pytest.raises(TypeError):
        loop.run_until_complete(42)  # type: ignore[arg-type]
    elsewhere = asyncio.new_event_loop()
    foreign = elsewhere.create_future()
    with pytest.raises(ValueError, match=r"different loop|does not belong|loop argument"):
        loop.run_until_complete(foreign)
    elsewhere.close()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_exceptions_that_end_the_program_pass_through_a_callback(
    loop: asyncio.AbstractEventLoop,
    turn: Turn,
    reports: Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]],
    exception: type[BaseException],
) -> None:
    reported = reports(loop)
    ran: list[str] = []

    def interrupt() -> None:
        raise exception

    loop.call_soon(interrupt)
    loop.call_soon(ran.append, "after")
    with pytest.raises(exception):
        loop.run_forever()
    assert not loop.is_running()
    assert reported == []
    turn(loop)
    assert ran == ["after"]


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_exceptions_that_end_the_program_pass_through_a_task(
    loop: asyncio.AbstractEventLoop, exception: type[BaseException]
) -> None:
    async def interrupt() -> None:
        await asyncio.sleep(0)
        raise exception

    with pytest.raises(exception):
        loop.run_until_complete(interrupt())
    assert not loop.is_running()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_an_exit_that_came_out_of_the_run_of_a_task_is_not_reported_as_unseen(
    loop: asyncio.AbstractEventLoop, exception: type[BaseException]
) -> None:
    async def interrupt() -> None:
        await asyncio.sleep(0)
        raise exception

    reported: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    # As asyncio.Runner does it: a task that is made before, and some more of the loop at the end.
    task = loop.create_task(interrupt())
    with pytest.raises(exception):
        loop.run_until_complete(task)
    loop.run_until_complete(loop.shutdown_asyncgens())
    del task
    gc.collect()
    assert reported == []


def test_a_loop_runs_in_any_thread(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    results: list[int] = []

    def work() -> None:
        loop = loop_factory()

        async def answer() -> int:
            await asyncio.sleep(0.001)
            return threading.get_ident()

        results.append(loop.run_until_complete(answer()))
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [thread.ident]


@pytest.mark.parametrize("poller", [EpollPoller, SelectorPoller])
def test_a_poller_can_be_chosen(poller: type[Poller]) -> None:
    chosen = poller()
    loop = miniloop.EventLoop(poller=chosen)
    assert loop.poller is chosen
    assert loop.run_until_complete(asyncio.sleep(0.001, "slept")) == "slept"
    loop.close()


def test_a_clock_can_be_chosen() -> None:
    def ahead() -> float:
        return time.monotonic() + 1e6

    loop = miniloop.EventLoop(clock=ahead)
    before = time.monotonic()
    assert loop.time() >= before + 1e6
    loop.run_until_complete(asyncio.sleep(0.01))
    assert time.monotonic() >= before + 0.01
    loop.close()


class LastComeFirstServed(deque[Any]):
    def popleft(self) -> Any:
        return self.pop()


def test_a_ready_queue_can_be_chosen() -> None:
    loop = miniloop.EventLoop(ready=LastComeFirstServed())
    called: list[int] = []
    for number in range(3):
        loop.call_soon(called.append, number)
    loop.stop()
    loop.run_forever()
    assert called == [2, 1, 0]
    loop.close()


def test_an_unclosed_loop_warns_and_is_closed() -> None:
    loop = miniloop.new_event_loop()
    fd = loop.wakeup.fileno()
    del loop  # and only the collector can know: a loop and its parts refer to each other
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.socket(fileno=fd)


def test_the_repr_of_a_loop_tells_its_state(loop: asyncio.AbstractEventLoop) -> None:
    assert "running=False" in repr(loop)
    assert "closed=False" in repr(loop)
    assert "debug=False" in repr(loop)
