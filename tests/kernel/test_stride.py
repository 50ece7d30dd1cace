"""Skipping the kernel while there is work: how rarely a busy loop looks at it, and how often."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable

import pytest

import miniloop
from miniloop.kernel.poller import EpollPoller
from miniloop.kernel.scheduler import LONGEST_STRIDE, VISIT_INTERVAL


class CountingPoller(EpollPoller):
    """Counts the visits to the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.visits = 0
        inner_wait = self.wait

        def wait(timeout: float | None) -> Iterable[tuple[int, int]]:
            self.visits += 1
            return inner_wait(timeout)

        self.wait = wait


class ManualClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def busy_turns(loop: miniloop.EventLoop, turns: int, duration: float, clock: ManualClock) -> None:
    """Run a chain of `turns` callbacks, each of which takes `duration` seconds of `clock`."""
    left = turns

    def step() -> None:
        nonlocal left
        clock.now += duration
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    loop.run_forever()


def test_a_loop_of_short_callbacks_visits_the_kernel_on_every_sixteenth_turn() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    busy_turns(loop, 100, 0.0, clock)  # until the stride has grown to its full length
    poller.visits = 0
    busy_turns(loop, 1600, 0.0, clock)
    loop.close()
    assert 1600 // LONGEST_STRIDE <= poller.visits <= 1600 // LONGEST_STRIDE + 6


def test_a_loop_of_slow_callbacks_visits_the_kernel_on_every_turn() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    busy_turns(loop, 200, 2 * VISIT_INTERVAL, clock)
    loop.close()
    assert poller.visits >= 199


def test_callbacks_that_turn_slow_delay_the_kernel_by_one_stride_only() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    busy_turns(loop, 1000, 0.0, clock)
    poller.visits = 0
    busy_turns(loop, 100, 1.0, clock)
    loop.close()
    assert poller.visits >= 100 - LONGEST_STRIDE - 1


def test_slow_callbacks_between_rests_delay_the_kernel_by_one_stride_only() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    rounds, turns = 20, 10  # turns of less than a stride, so that no busy visit can judge them
    visits: list[int] = []

    left, right = socket.socketpair()
    left.setblocking(False)

    def wake(resting: asyncio.Future[None]) -> None:
        loop.remove_reader(left)
        resting.set_result(None)

    async def rest_and_work() -> None:
        for _ in range(100 * LONGEST_STRIDE):
            await asyncio.sleep(0)  # until the stride has grown to its full length
        right.send(b"x")
        for _ in range(rounds):
            resting = loop.create_future()
            loop.add_reader(left, wake, resting)
            await resting
            poller.visits = 0
            for _ in range(turns):
                clock.now += 1.0
                await asyncio.sleep(0)
            visits.append(poller.visits)

    with left, right:
        loop.run_until_complete(rest_and_work())
    loop.close()
    assert min(visits[1:]) >= turns - 3


def test_a_stop_request_always_visits_the_kernel() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    busy_turns(loop, 1000, 0.0, clock)
    poller.visits = 0
    for _ in range(10):
        loop.call_soon(int)
        loop.stop()
        loop.run_forever()
    loop.close()
    assert poller.visits == 10


@pytest.mark.parametrize("duration", [0.0, 0.0005], ids=["short", "slow"])
def test_io_is_not_starved_by_a_busy_loop(duration: float) -> None:
    loop = miniloop.new_event_loop()
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        turns_until_read: list[int] = []
        turn = sent_at = 0

        def readable() -> None:
            nonlocal sent_at
            left.recv(10)
            turns_until_read.append(turn - sent_at)
            if len(turns_until_read) == 20:
                loop.stop()
            else:
                sent_at = turn
                right.send(b"x")

        def busy() -> None:
            nonlocal turn
            turn += 1
            if duration:
                time.sleep(duration)
            loop.call_soon(busy)

        loop.add_reader(left, readable)
        loop.call_soon(busy)
        right.send(b"x")
        loop.run_forever()
        loop.remove_reader(left)
        loop.close()
    longest = LONGEST_STRIDE + 1 if duration == 0.0 else 2
    # The first may have to wait for one stride in any case.
    assert max(turns_until_read[1:]) <= longest


def test_a_timer_that_falls_due_in_a_busy_stride_is_not_forgotten() -> None:
    clock = ManualClock()
    loop = miniloop.EventLoop(clock=clock)
    loop._outlook = VISIT_INTERVAL  # as with the system's clock, which does not leap
    busy_turns(loop, 1000, 0.0, clock)  # the stride is at its longest now
    late: list[float] = []
    deadline = clock.now + 0.5 * VISIT_INTERVAL
    loop.call_at(deadline, lambda: late.append(clock.now - deadline))
    busy_turns(loop, 100, 0.1 * VISIT_INTERVAL, clock)
    loop.close()
    # Due within the interval for which the kernel is left alone: it fires on the turn it is due.
    assert late
    assert late[0] <= 0.11 * VISIT_INTERVAL
