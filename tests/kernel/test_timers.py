"""Timers on a loop: when they fire, and in which order."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]


def test_timers_fire_in_the_order_of_their_deadlines(loop: asyncio.AbstractEventLoop) -> None:
    fired: list[str] = []
    now = loop.time()
    for delay, name in [(0.003, "third"), (0.001, "first"), (0.002, "second")]:
        loop.call_at(now + delay, fired.append, name)
    loop.call_at(now + 0.004, loop.stop)
    loop.run_forever()
    assert fired == ["first", "second", "third"]


def test_timers_with_one_deadline_fire_in_the_order_in_which_they_were_made(
    mini: miniloop.EventLoop, turn: Turn
) -> None:
    # Ours alone: asyncio's heap has no sequence number, and mixes them up.
    fired: list[int] = []
    for number in range(50):
        mini.call_at(1.0, fired.append, number)
    turn(mini)
    assert fired == list(range(50))


def test_a_timer_does_not_fire_early(loop: asyncio.AbstractEventLoop) -> None:
    async def measure() -> list[float]:
        early = []
        for _ in range(20):
            deadline = loop.time() + 0.0013
            woken = loop.create_future()
            loop.call_at(deadline, woken.set_result, None)
            await woken
            early.append(deadline - loop.time())
        return early

    resolution = time.get_clock_info("monotonic").resolution
    assert max(loop.run_until_complete(measure())) <= resolution


def test_a_negative_delay_fires_on_the_next_turn(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    fired: list[str] = []
    loop.call_later(-5, fired.append, "overdue")
    loop.call_later(0, fired.append, "now")
    turn(loop)
    assert fired == ["overdue", "now"]


def test_a_cancelled_timer_does_not_fire(loop: asyncio.AbstractEventLoop) -> None:
    fired: list[str] = []
    loop.call_later(0, fired.append, "cancelled").cancel()
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert fired == []


def test_a_timer_can_be_cancelled_by_another_that_fires_with_it(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    fired: list[str] = []
    loop.call_at(1, lambda: second.cancel())
    second = loop.call_at(2, fired.append, "second")
    turn(loop)
    assert fired == []
    assert second.cancelled()


def test_a_loop_does_not_wait_for_a_cancelled_timer(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_later(1000, print).cancel()
    loop.call_later(0.001, loop.stop)
    before = time.monotonic()
    loop.run_forever()
    assert time.monotonic() - before < 500


def test_a_timer_that_a_timer_adds_fires_in_a_later_turn(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    fired: list[str] = []
    loop.call_at(1, lambda: loop.call_at(1, fired.append, "added"))
    turn(loop)
    assert fired == []
    turn(loop)
    assert fired == ["added"]


def test_a_loop_that_waits_a_long_time_is_not_confused(mini: miniloop.EventLoop) -> None:
    # A wait is cut to a day: the kernel counts milliseconds in 32 bits.
    waits: list[float | None] = []
    inner_wait = mini.poller.wait

    def wait(timeout: float | None) -> object:
        waits.append(timeout)
        mini.stop()
        return inner_wait(0)

    mini.poller.wait = wait  # type: ignore[method-assign, assignment]
    mini.call_later(1e9, print)
    mini.run_forever()
    assert waits == [24 * 3600.0]


def test_a_cancelled_timeout_leaves_nothing_behind(mini: miniloop.EventLoop) -> None:
    async def work() -> None:
        for _ in range(1000):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)

    mini.run_until_complete(work())
    assert len(mini.timers) <= 101  # they are swept when they are more than a hundred


@pytest.mark.parametrize("delay", [float("inf"), 1e300])
def test_a_timer_for_never_is_accepted(loop: asyncio.AbstractEventLoop, delay: float) -> None:
    if delay == float("inf") and not isinstance(loop, miniloop.EventLoop):
        delay = 1e300
    handle = loop.call_later(delay, print)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    handle.cancel()


def test_a_timer_at_no_time_fires_at_once_and_holds_up_nobody(
    mini: miniloop.EventLoop,
) -> None:
    called: list[str] = []
    mini.call_later(math.nan, called.append, "at no time")
    mini.call_later(0.001, called.append, "later")
    mini.call_later(0.002, mini.stop)
    mini.run_forever()
    assert called == ["at no time", "later"]
