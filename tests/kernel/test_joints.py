"""The joints of a turn: observers that look on, and one that chooses another order."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import miniloop
from miniloop.kernel.contract import Joints
from miniloop.kernel.handle import TimerHandle
from miniloop.kernel.task import Task


class Observer:
    """Notes what comes by each joint."""

    def __init__(self) -> None:
        self.queued: list[Any] = []
        self.handed_over: list[Any] = []
        self.taken: list[Any] = []
        self.turns: list[int] = []
        self.timeouts: list[float | None] = []
        self.delivered: list[int] = []
        self.eager: list[Any] = []
        self.runs_ended = 0

    def join(self, joints: Joints) -> Joints:
        def append(entry: Any) -> None:
            self.queued.append(entry)
            joints.append(entry)

        def hand_over(entry: Any) -> None:
            self.handed_over.append(entry)
            joints.hand_over(entry)

        def wait(timeout: float | None) -> Iterable[tuple[int, int]]:
            self.timeouts.append(timeout)
            return joints.wait(timeout)

        def deliver(events: Iterable[tuple[int, int]], enqueue: Callable[[Any], object]) -> object:
            self.delivered += [fd for fd, _ in events]
            return joints.deliver(events, enqueue)

        def begin_turn(ready: deque[Any]) -> int:
            count = joints.begin_turn(ready)
            self.turns.append(count)
            return count

        def before_taking(ready: deque[Any]) -> deque[Any]:
            ready = ready if joints.before_taking is None else joints.before_taking(ready)
            self.taken.append(ready[0])
            return ready

        def make_eager_task(*args: Any) -> Any:
            task = joints.make_eager_task(*args)
            self.eager.append(task)
            return task

        return Joints(
            append,
            hand_over,
            wait,
            deliver,
            begin_turn,
            before_taking,
            joints.take,
            make_eager_task,
        )

    def run_ended(self) -> None:
        self.runs_ended += 1


@contextmanager
def observed(loop: miniloop.EventLoop) -> Iterator[Observer]:
    observer = Observer()
    loop.observe(observer)
    yield observer
    loop.unobserve(observer)


def do_nothing() -> None:
    pass


def test_an_observer_sees_what_is_queued_and_what_is_taken(mini: miniloop.EventLoop) -> None:
    with observed(mini) as observer:
        handle = mini.call_soon(do_nothing)
        shared = mini.call_soon_threadsafe(mini.stop)
        mini.run_forever()
    assert observer.queued == [handle]
    assert observer.handed_over == [shared]
    assert observer.taken == [handle, shared]
    assert observer.turns == [2]
    assert observer.runs_ended == 1


def test_what_is_handed_over_by_another_thread_is_seen(mini: miniloop.EventLoop) -> None:
    with observed(mini) as observer:
        thread = threading.Thread(target=mini.call_soon_threadsafe, args=(mini.stop,))
        mini.call_soon(thread.start)
        mini.run_forever()
        thread.join()
    assert [handle._callback for handle in observer.handed_over] == [mini.stop]
    assert observer.handed_over[0] in observer.taken


@pytest.mark.parametrize("change", ["debug", "eager", "factory"])
def test_an_observer_stays_in_when_parts_are_exchanged(
    mini: miniloop.EventLoop, change: str
) -> None:
    async def quick() -> None:
        pass

    async def main() -> Task[None]:
        if change == "debug":
            mini.set_debug(True)
        elif change == "eager":
            mini.set_task_factory(miniloop.eager_task_factory)
        else:
            mini.set_task_factory(lambda loop, coro, **kwargs: Task(coro, loop=loop, **kwargs))
        mini.call_soon(do_nothing)
        timer = mini.call_later(0, do_nothing)
        task = mini.create_task(quick())
        await task
        await asyncio.sleep(0.001)
        assert timer in observer.queued
        return task

    with observed(mini) as observer:
        task = mini.run_until_complete(main())
        mini.set_debug(False)
    assert task in (observer.eager if change == "eager" else observer.queued)
    assert do_nothing in [getattr(entry, "_callback", None) for entry in observer.queued]


def test_one_that_is_put_in_while_the_loop_runs_sees_the_next_timer_and_descriptor(
    mini: miniloop.EventLoop,
) -> None:
    observer = Observer()
    reader, writer = os.pipe()

    async def main() -> None:
        mini.observe(observer)
        readable = mini.create_future()
        mini.add_reader(reader, lambda: readable.done() or readable.set_result(None))
        await asyncio.sleep(0.05)  # so long that it is not over before the loop waits
        os.write(writer, b"x")
        await readable
        mini.remove_reader(reader)

    try:
        mini.run_until_complete(main())
    finally:
        os.close(reader)
        os.close(writer)
    assert any(type(entry) is TimerHandle for entry in observer.queued)
    assert reader in observer.delivered
    assert any(timeout is not None and 0 < timeout <= 0.05 for timeout in observer.timeouts)
    assert observer.taken == [entry for entry in observer.queued if entry in observer.taken]


def test_one_that_is_taken_out_while_the_loop_runs_sees_no_further_turn(
    mini: miniloop.EventLoop,
) -> None:
    observer = Observer()

    async def main() -> None:
        await asyncio.sleep(0)
        mini.unobserve(observer)
        before = len(observer.queued), len(observer.turns)
        await asyncio.sleep(0.001)
        assert before == (len(observer.queued), len(observer.turns))

    mini.observe(observer)
    mini.run_until_complete(main())
    assert mini.enqueue == mini._ready.append


@pytest.mark.parametrize("stopped_first", [True, False])
def test_a_loop_that_is_to_stop_stops_although_an_observer_is_put_in(
    mini: miniloop.EventLoop, stopped_first: bool
) -> None:
    later: list[int] = []

    def step() -> None:
        if stopped_first:
            mini.stop()
        mini.observe(observer)
        if not stopped_first:
            mini.stop()
        mini.call_soon(later.append, 1)

    observer = Observer()
    mini.call_soon(step)
    mini.run_forever()
    assert not later
    mini.call_soon(mini.stop)
    mini.run_forever()
    assert later == [1]
    mini.unobserve(observer)


def test_observers_are_put_in_round_each_other(mini: miniloop.EventLoop) -> None:
    with observed(mini) as inner, observed(mini) as outer:
        mini.call_soon(mini.stop)
        mini.run_forever()
        assert inner.queued == outer.queued
        assert inner.taken == outer.taken
    with pytest.raises(ValueError, match="not in"):
        mini.unobserve(inner)


class LastFirst:
    """Chooses another order: of what is to be run in a turn, the last first."""

    def join(self, joints: Joints) -> Joints:
        def before_taking(ready: deque[Any]) -> deque[Any]:
            ready.rotate(1)
            return ready

        return joints._replace(before_taking=before_taking)

    def run_ended(self) -> None:
        pass


def test_another_order_can_be_chosen_before_each_entry_is_taken(mini: miniloop.EventLoop) -> None:
    called: list[int] = []
    mini.observe(LastFirst())
    with observed(mini) as observer:
        handles = [mini.call_soon(called.append, number) for number in range(3)]
        mini.stop()
        mini.run_forever()
    assert called == [2, 1, 0]
    assert observer.taken == handles[::-1]


class CountingQueue(deque[Any]):
    """A ready queue that is asked, once a turn, how many entries are to be run."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0

    def begin_turn(self) -> int:
        self.turns += 1
        return min(1, len(self))


def test_a_ready_queue_says_how_many_entries_a_turn_runs() -> None:
    ready = CountingQueue()
    loop = miniloop.EventLoop(ready=ready)
    called: list[int] = []
    for number in range(3):
        loop.call_soon(called.append, number)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert called == [0, 1, 2]
    assert ready.turns == 4


def test_whoever_wants_to_is_told_of_each_new_loop() -> None:
    made: list[miniloop.EventLoop] = []
    miniloop.EventLoop.when_made.append(made.append)
    try:
        loop = miniloop.new_event_loop()
    finally:
        miniloop.EventLoop.when_made.remove(made.append)
    loop.close()
    assert made == [loop]


def test_a_closed_loop_takes_no_observer(mini: miniloop.EventLoop) -> None:
    mini.close()
    with pytest.raises(RuntimeError, match="closed"):
        mini.observe(Observer())
