"""Skipping the kernel while there is work: how rarely a busy loop looks at it, and how often."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Iterable

import pytest

import miniloop
from miniloop.kernel.poller import READ, EpollPoller, Poller, Watch
from miniloop.kernel.scheduler import MOST_TURNS, POLL_INTERVAL

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class CountingPoller(EpollPoller):
    """Counts the polls."""

    def __init__(self) -> None:
        super().__init__()
        self.polls = 0
        inner_wait = self.wait

        def wait(timeout: float | None) -> Iterable[tuple[int, int]]:
            self.polls += 1
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


def test_a_loop_of_short_callbacks_polls_after_a_series_of_turns() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    busy_turns(loop, 100 * MOST_TURNS, 0.0, clock)
    loop.close()
    assert 100 <= poller.polls <= 102


def test_a_loop_of_slow_callbacks_polls_on_every_turn() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    busy_turns(loop, 200, 2 * POLL_INTERVAL, clock)
    loop.close()
    assert poller.polls >= 200


def test_callbacks_that_turn_slow_are_noticed_after_the_first() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    for _ in range(3):
        busy_turns(loop, 10 * MOST_TURNS, 0.0, clock)
        poller.polls = 0
        busy_turns(loop, 100, 1.0, clock)
        assert poller.polls >= 100
    loop.close()


def test_slow_callbacks_between_rests_are_noticed_after_the_first() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    rounds, turns = 20, 10  # fewer turns than a series has
    polls: list[int] = []

    left, right = socket.socketpair()
    left.setblocking(False)

    def wake(resting: asyncio.Future[None]) -> None:
        loop.remove_reader(left)
        resting.set_result(None)

    async def rest_and_work() -> None:
        for _ in range(10 * MOST_TURNS):
            await asyncio.sleep(0)
        right.send(b"x")
        for _ in range(rounds):
            resting = loop.create_future()
            loop.add_reader(left, wake, resting)
            await resting
            poller.polls = 0
            for _ in range(turns):
                clock.now += 1.0
                await asyncio.sleep(0)
            polls.append(poller.polls)

    with left, right:
        loop.run_until_complete(rest_and_work())
    loop.close()
    assert min(polls) >= turns


def test_a_stop_request_always_polls() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    busy_turns(loop, 1000, 0.0, clock)
    poller.polls = 0
    for _ in range(10):
        loop.call_soon(int)
        loop.stop()
        loop.run_forever()
    loop.close()
    assert poller.polls == 10


def test_a_clock_that_is_put_in_while_the_loop_runs_counts_from_then_on() -> None:
    clock, poller = ManualClock(), CountingPoller()
    loop = miniloop.EventLoop(poller=poller)
    left = 100

    def step() -> None:
        nonlocal left
        clock.now += 1.0
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    def replace_clock() -> None:
        loop.use_clock(clock)
        poller.polls = 0
        loop.call_soon(step)

    loop.call_soon(replace_clock)
    loop.run_forever()
    loop.close()
    assert poller.polls >= 99


# A turn that is short, as most are, or takes a good part of what may pass between two polls, or
# several times that. In seconds.
LENGTHS = (0.0, 1e-6, 1e-5, 0.4 * POLL_INTERVAL, POLL_INTERVAL, 8 * POLL_INTERVAL, 0.02)


class ScriptedPoller(Poller):
    """Descriptors that turn readable when a clock says so, and a wait that moves the clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.ready_at: dict[int, float] = {}

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        if timeout:
            self.clock.now = min(self.clock.now + timeout, *self.ready_at.values(), 1e12)
        return [(fd, READ) for fd, when in self.ready_at.items() if when <= self.clock.now]

    def close(self) -> None:
        self.watches.clear()

    def _apply(self, watch: Watch) -> None:
        self.watches[watch.fd] = watch

    def _unregister(self, fd: int) -> None:
        pass


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("exact", [True, False], ids=["any clock", "as the system's"])
def test_nothing_is_late_whatever_the_mix_of_turns(seed: int, exact: bool) -> None:
    """On a virtual clock: timers fire after the turn in which they fall due, I/O nearly so."""
    chance = random.Random(seed)
    clock = ManualClock()
    poller = ScriptedPoller(clock)
    loop = miniloop.EventLoop(poller=poller, clock=clock)
    if not exact:
        loop._clock_may_leap = False  # it does not
    begun: list[float] = []  # when each turn of the chain began, and ended
    ended: list[float] = []
    # When it was due, or came: how many turns of the chain had begun when it was served.
    timers: list[tuple[float, int]] = []
    inputs: list[tuple[float, int]] = []

    def readable(fd: int) -> None:
        inputs.append((poller.ready_at.pop(fd), len(begun)))
        loop.remove_reader(fd)

    def spells() -> Iterable[float]:
        while True:
            kind = chance.choice((LENGTHS[:2], LENGTHS, LENGTHS[4:]))
            for _ in range(chance.choice((1, 3, 30, 300))):
                yield chance.choice(kind)

    lengths = iter(spells())

    def step() -> None:
        begun.append(clock.now)
        clock.now += next(lengths)
        ended.append(clock.now)
        ahead = chance.choice(LENGTHS) * chance.uniform(0.1, 2.0)
        # A time before the end of the turn is one that has come to pass during it.
        if chance.random() < 0.3:
            due = begun[-1] + ahead
            loop.call_at(due, lambda: timers.append((due, len(begun))))
        if chance.random() < 0.3:
            fd = 1000 + len(begun)
            poller.ready_at[fd] = begun[-1] + ahead
            loop.add_reader(fd, readable, fd)
        if len(begun) < 3000:
            loop.call_soon(step)
        else:
            loop.call_at(clock.now + 1.0, loop.stop)

    loop.call_soon(step)
    loop.run_forever()
    loop.close()
    assert len(timers) > 500
    assert len(inputs) > 500
    for due, turns in timers:
        # The last of these turns ran in one batch with the timer; the timer fell due in the one
        # before it.
        assert turns < 3 or ended[turns - 3] < due + 1e-9
    for came, turns in inputs:
        # The turn before the last may have been begun while the kernel was left alone.
        assert turns < 2 or begun[turns - 2] <= came + POLL_INTERVAL + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_late_on_the_real_clock(loop_factory: LoopFactory, seed: int) -> None:
    chance = random.Random(seed)
    loop = loop_factory()
    begun: list[float] = []
    late_timers: list[int] = []
    late_inputs: list[int] = []
    left, right = socket.socketpair()
    left.setblocking(False)
    sent_at: list[float] = []

    def turns_since(moment: float) -> int:
        return sum(when > moment for when in begun)

    def fire(due: float) -> None:
        late_timers.append(turns_since(due))

    def readable() -> None:
        left.recv(10)
        late_inputs.append(turns_since(sent_at.pop() + POLL_INTERVAL))

    def spells() -> Iterable[float]:
        for _ in range(12):
            for _ in range(300):
                yield 0.0
            for _ in range(3):
                yield chance.choice((0.001, 0.005, 0.02))

    lengths = iter(spells())

    def step() -> None:
        begun.append(loop.time())
        length = next(lengths, None)
        if length is None:
            loop.stop()
            return
        if length:
            due = loop.time() + chance.uniform(0.0001, 2 * length)
            loop.call_at(due, fire, due)
            time.sleep(length)
        if not sent_at and chance.random() < 0.1:
            sent_at.append(loop.time())
            right.send(b"x")
        loop.call_soon(step)

    with left, right:
        loop.add_reader(left, readable)
        loop.call_soon(step)
        loop.run_forever()
        loop.remove_reader(left)
    loop.close()
    assert len(late_timers) >= 30
    assert len(late_inputs) >= 30
    # A turn that begins while the timer falls due is counted, and one that was preempted between
    # the loop's look at the clock and ours.
    assert max(late_timers) <= 2
    assert max(late_inputs) <= 2


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
    assert max(turns_until_read) <= (MOST_TURNS + 1 if duration == 0.0 else 2)


def test_a_timer_that_falls_due_between_polls_is_not_forgotten() -> None:
    clock = ManualClock()
    loop = miniloop.EventLoop(clock=clock)
    loop._clock_may_leap = False  # it does not
    busy_turns(loop, 1000, 0.0, clock)
    late: list[float] = []
    deadline = clock.now + 0.5 * POLL_INTERVAL
    loop.call_at(deadline, lambda: late.append(clock.now - deadline))
    busy_turns(loop, 100, 0.1 * POLL_INTERVAL, clock)
    loop.close()
    # Due within the interval for which the kernel is left alone: it fires on the turn it is due.
    assert late
    assert late[0] <= 0.11 * POLL_INTERVAL
