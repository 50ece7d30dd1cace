"""Whose turn it is: fairness between hosts, room at each, and times at which they are ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.frontier.order import FIRST_PAUSE, Order
from crawler.loops import loop_factory

Run = Callable[..., Any]


@contextlib.contextmanager
def clock() -> Iterator[list[float]]:
    """The time of the running loop as a list of one number that a test moves."""
    loop = asyncio.get_running_loop()
    now = [loop.time()]
    real = loop.time
    loop.time = lambda: now[0]  # type: ignore[method-assign]
    try:
        yield now
    finally:
        loop.time = real  # type: ignore[method-assign]


def taken(order: Order[str]) -> list[str]:
    found = []
    while (one := order.take()) is not None:
        found.append(one[1])
    return found


def test_hosts_take_turns_and_none_has_more_than_its_limit_in_work(run: Run) -> None:
    async def main() -> None:
        order: Order[str] = Order(2)
        for item in ("a1", "a2", "a3", "b1", "b2", "b3", "c1"):
            order.add(item[0], item)
        assert taken(order) == ["a1", "b1", "c1", "a2", "b2"]
        order.done("a")
        assert taken(order) == ["a3"]
        assert (order.waiting, order.running) == (1, 5)

    run(main)


def test_a_host_with_nothing_to_do_is_forgotten(run: Run) -> None:
    async def main() -> None:
        order: Order[str] = Order(2)
        for number in range(1000):
            order.add(str(number), "x")
            order.take()
            order.done(str(number))
        assert not order._hosts

    run(main)


def test_the_delay_counts_from_when_a_request_is_sent_however_late_after_its_turn(run: Run) -> None:
    async def main() -> None:
        with clock() as now:
            order: Order[str] = Order(8, 5.0)
            for item in ("a1", "a2"):
                order.add(item[0], item)
            assert taken(order) == ["a1"]
            now[0] += 3  # as long as it took to connect
            order.sent("a")
            order.sent("nobody")
            now[0] += 4.9
            assert taken(order) == []
            now[0] += 0.2
            assert taken(order) == ["a2"]
            order.close()

    run(main)


def test_between_two_starts_at_a_host_there_is_the_delay_and_others_go_on(run: Run) -> None:
    async def main() -> None:
        with clock() as now:
            order: Order[str] = Order(8, 5.0)
            for item in ("a1", "a2", "a3", "b1"):
                order.add(item[0], item)
            assert taken(order) == ["a1", "b1"]
            now[0] += 4.9
            assert taken(order) == []
            now[0] += 0.2
            assert taken(order) == ["a2"]
            for name in "aab":
                order.done(name)
            now[0] += 5.1
            assert taken(order) == ["a3"]
            order.done("a")
            now[0] += 5.1
            assert taken(order) == []
            assert not order._hosts
            order.close()

    run(main)


def test_a_start_that_was_held_up_counts_from_when_it_came(run: Run) -> None:
    async def main() -> None:
        with clock() as now:
            order: Order[str] = Order(8, 5.0)
            for item in ("a1", "a2"):
                order.add("a", item)
            assert taken(order) == ["a1"]
            now[0] += 4.0  # its robots.txt was asked for meanwhile
            order.space_out("a", 0.0)
            now[0] += 4.9
            assert taken(order) == []
            now[0] += 0.2
            assert taken(order) == ["a2"]
            order.close()

    run(main)


def test_a_busy_host_is_left_alone_longer_each_time_and_gets_less_at_once(run: Run) -> None:
    async def main() -> None:
        with clock() as now:
            order: Order[str] = Order(8)
            for number in range(40):
                order.add("a", f"a{number}")
            assert len(taken(order)) == 8
            for _ in range(8):  # all eight say so, which is one refusal
                order.leave_alone("a", None)
                order.done("a", good=False)
            assert taken(order) == []
            now[0] += FIRST_PAUSE + 0.01
            assert len(taken(order)) == 4
            order.leave_alone("a", None)
            for _ in range(4):
                order.done("a", good=False)
            now[0] += FIRST_PAUSE + 0.01
            assert taken(order) == []
            now[0] += FIRST_PAUSE
            assert len(taken(order)) == 2
            order.done("a")
            order.done("a")
            assert len(taken(order)) == 4  # each good reply gives it one more
            order.leave_alone("a", 100.0)
            for _ in range(4):
                order.done("a", good=False)
            now[0] += 99
            assert taken(order) == []
            now[0] += 1.1
            assert len(taken(order)) == 2
            order.close()

    run(main)


def test_who_waits_is_woken_by_a_new_one_and_by_the_clock(run: Run) -> None:
    async def main() -> list[str]:
        order: Order[str] = Order(8, 0.05)
        got: list[str] = []

        async def work() -> None:
            while len(got) < 6:
                one = order.take()
                if one is None:
                    await order.wait()
                    continue
                got.append(one[1])
                order.done(one[0])
            order.wake_all()

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(work())
            await asyncio.sleep(0)
            for item in ("a1", "a2", "a3", "b1", "b2", "b3"):
                order.add(item[0], item)
        order.close()
        return got

    assert sorted(run(main)) == ["a1", "a2", "a3", "b1", "b2", "b3"]


@pytest.mark.parametrize("name", ["miniloop", "asyncio", "uvloop"])
def test_many_may_wait_for_a_time_that_is_all_but_there(name: str) -> None:
    if name == "uvloop":
        pytest.importorskip("uvloop")

    async def main() -> None:
        for _ in range(20):
            order: Order[str] = Order(8, 0.0002)
            order.add("a", "a1")
            order.add("a", "a2")
            assert order.take() == ("a", "a1")
            found = order.take()
            if found is None:  # otherwise the machine paused, and there is nothing to wait for
                waiting = [asyncio.create_task(order.wait()) for _ in range(3)]
                async with asyncio.timeout(20):
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                order.wake_all()
                await asyncio.gather(*waiting)
                found = order.take()
            assert found == ("a", "a2")
            order.close()

    with asyncio.Runner(loop_factory=loop_factory(name)) as runner:
        runner.run(main())


def test_one_who_is_woken_and_cancelled_passes_it_on(run: Run) -> None:
    async def main() -> None:
        order: Order[str] = Order(8)
        first, second = (asyncio.create_task(order.wait()) for _ in range(2))
        await asyncio.sleep(0)
        order.add("a", "x")
        first.cancel()
        await asyncio.wait({second}, timeout=10)
        assert second.done()
        assert first.cancelled()

    run(main)


STEP = st.one_of(
    st.tuples(st.just("add"), st.sampled_from("abc")),
    st.tuples(st.just("take"), st.none()),
    st.tuples(st.just("done"), st.booleans()),
    st.tuples(st.just("busy"), st.sampled_from([None, 0.0, 3.0])),
    st.tuples(st.just("space out"), st.sampled_from([0.5, 2.0])),
    st.tuples(st.just("later"), st.sampled_from([0.1, 1.0, 5.0])),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(STEP, max_size=60), st.integers(1, 3), st.sampled_from([0.0, 1.0]))
def test_whatever_happens_nothing_is_lost_and_no_limit_is_passed(
    steps: list[tuple[str, Any]], limit: int, delay: float
) -> None:
    async def main() -> None:
        with clock() as now:
            order: Order[int] = Order(limit, delay)
            added, got = 0, list[int]()
            running: list[str] = []
            not_before: dict[str, float] = {}

            def take() -> bool:
                one = order.take()
                if one is None:
                    return False
                name, item = one
                assert now[0] >= not_before.get(name, 0.0)
                running.append(name)
                assert running.count(name) <= limit
                got.append(item)
                not_before[name] = now[0] + delay
                return True

            for step, value in steps:
                if step == "add":
                    order.add(value, added)
                    added += 1
                elif step == "take":
                    take()
                elif step == "later":
                    now[0] += value
                elif running and step == "done":
                    order.done(running.pop(), good=value)
                elif running and step == "busy":
                    order.leave_alone(running[-1], value)
                    not_before[running[-1]] = now[0] + (value or 0.0)
                    order.done(running.pop(), good=False)
                elif running and step == "space out":
                    order.space_out(running[-1], value)
                    not_before[running[-1]] = now[0] + max(delay, value)
            for _ in range(10_000):
                if not order.waiting and not running:
                    break
                if not take():
                    if running:
                        order.done(running.pop())
                    else:
                        now[0] += 1.0
            assert sorted(got) == list(range(added))
            assert (order.waiting, order.running) == (0, 0)
            now[0] += 1_000
            assert order.take() is None
            assert not order._hosts
            order.close()

    asyncio.run(main())


def test_a_host_whose_pages_wait_for_each_other_gets_fewer_at_once(run: Run) -> None:
    """Its server does one page after the other, 0.1 s each: eight at once take 0.8 s."""

    async def main() -> None:
        order: Order[str] = Order(8)
        for number in range(400):
            order.add("slow", f"s{number}")
            order.add("fast", f"f{number}")
        host = order._hosts["slow"]

        def one(name: str, seconds: float) -> None:
            order.took(name, seconds)
            order.done(name)

        assert len(taken(order)) == 16
        one("slow", 0.1)  # the first page had the server to itself
        one("fast", 0.1)
        for _ in range(60):
            taken(order)
            one("slow", 0.1 * host.running)
            one("fast", 0.1)
        assert host.limit < 6
        assert order._hosts["fast"].limit == 8
        # It has become faster, so it gets more again.
        for _ in range(60):
            taken(order)
            one("slow", 0.1)
        assert host.limit == 8
        order.close()

    run(main)


def test_one_page_that_takes_for_ever_slows_nobody_down(run: Run) -> None:
    async def main() -> None:
        order: Order[str] = Order(8)
        for number in range(100):
            order.add("h", f"{number}")
        for number in range(50):
            assert order.take() is not None
            order.took("h", 30.0 if number == 20 else 0.05)
            order.done("h")
        assert order._hosts["h"].limit == 8
        order.close()

    run(main)
