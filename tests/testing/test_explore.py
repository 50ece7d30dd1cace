"""`explore` runs a test under legal orders, and stops at the first that fails."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from miniloop.study import read
from miniloop.testing import (
    EverybodyWaits,
    Failure,
    TooLong,
    UnseenError,
    explore,
    find_failure,
)
from tests.builds import pure_only
from tests.testing import programs

pytestmark = pure_only


def find(test: Any, **options: Any) -> Failure | None:
    return find_failure(test, save=False, **options)


def found(test: Any, **options: Any) -> Failure:
    failure = find(test, **options)
    assert failure is not None
    return failure


@pytest.mark.parametrize("strategy", ["departures", "random", "pct", "mixed"])
def test_every_strategy_finds_a_lost_update(strategy: str) -> None:
    failure = found(programs.lost_update, strategy=strategy)
    assert isinstance(failure.error, AssertionError)
    assert failure.verdict == "order"
    assert len(failure.departures) == 1


def test_departures_find_the_smallest_first() -> None:
    failure = found(programs.lost_update, strategy="departures")
    assert failure.runs < 30


def test_fifo_alone_does_not_find_it() -> None:
    exploration = explore(programs.lost_update, strategy="fifo", save=False)
    assert exploration.schedules == 1
    assert exploration.exhausted


def test_a_failure_that_needs_only_lateness_is_told_apart() -> None:
    assert found(programs.late_timer).verdict == "lateness"
    # A walk that finds it by another order as well is followed by a look for lateness alone.
    assert found(programs.late_timer, strategy="pct").verdict == "lateness"
    assert find(programs.late_timer, lateness=0.0, strategy="departures:1") is None


def test_a_failure_without_any_departure_is_told_apart() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("always")

    failure = found(fails)
    assert (failure.verdict, failure.runs, len(failure.departures)) == ("always", 1, 0)
    assert failure.error.__traceback__ is not None


def test_a_missed_event_ends_in_everybody_waits() -> None:
    failure = found(programs.missed_event)
    assert isinstance(failure.error, EverybodyWaits)
    assert "Event" in str(failure.error)


def test_an_unseen_failure_of_a_task_is_one() -> None:
    failure = found(programs.unseen_failure)
    assert isinstance(failure.error, UnseenError)
    assert isinstance(failure.error.__cause__, KeyError)


def test_a_result_other_than_the_expected_is_one() -> None:
    async def first_done() -> str:
        tasks = [asyncio.create_task(asyncio.sleep(0, name)) for name in "ab"]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return "".join(sorted(task.result() for task in done))

    assert find(first_done) is None
    assert "'b'" in str(found(first_done, expect="ab").error)


def test_a_test_that_never_ends_is_one() -> None:
    async def spins() -> None:
        while True:
            await asyncio.sleep(0)

    async def sleeps() -> None:
        while True:
            await asyncio.sleep(1)

    assert isinstance(found(spins, most_steps=500).error, TooLong)
    assert isinstance(found(sleeps, until=50.0).error, TooLong)


def test_a_correct_program_passes_all_schedules() -> None:
    exploration = explore(programs.correct, schedules=300, expect=3, save=False)
    assert exploration.schedules == 300
    exploration = explore(programs.correct, strategy="departures:1", expect=3, save=False)
    assert exploration.exhausted
    assert "all within the bound" in str(exploration)


def test_a_spinning_task_does_not_hold_others_up_for_ever() -> None:
    async def spins_until_set() -> None:
        flag = []

        async def setter() -> None:
            await asyncio.sleep(0)
            flag.append(1)

        task = asyncio.create_task(setter())
        while not flag:
            await asyncio.sleep(0)
        await task

    for strategy in ("departures:1", "pct", "random"):
        assert find(spins_until_set, strategy=strategy, schedules=60, most_steps=5000) is None


def test_call_soon_keeps_its_order_in_every_schedule() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        order: list[int] = []

        async def busy() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(busy()) for _ in range(3)]
        for number in range(6):
            loop.call_soon(order.append, number)
            await asyncio.sleep(0)
        await asyncio.wait(tasks)
        while len(order) < 6:
            await asyncio.sleep(0)
        assert order == list(range(6))

    assert find(main, schedules=200) is None


def test_timers_keep_the_order_of_their_deadlines_in_every_schedule() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        order: list[int] = []
        for number in range(5):
            loop.call_later(number / 100, order.append, number)
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
        await asyncio.sleep(1)
        assert order == list(range(5))

    assert find(main, schedules=200) is None


async def timer_and_ready_task() -> None:
    fired: list[str] = []

    async def worker() -> None:
        await event.wait()
        timer.cancel()

    event = asyncio.Event()
    tasks = [asyncio.create_task(worker(), name="worker")]
    await asyncio.sleep(1)
    timer = asyncio.get_running_loop().call_later(0.3, fired.append, "timer")
    event.set()
    await asyncio.wait(tasks)
    assert not fired


def test_a_timer_may_overtake_a_task_that_was_ready_before_it_came_due() -> None:
    failure = found(timer_and_ready_task)
    assert failure.verdict == "order"
    assert sorted(each.kind for each in failure.departures) == ["hold", "late"]
    # The step is slow first, and then the task is held back.
    story = failure.story.partition("step by step")[2]
    assert 0 < story.index("was slow on its way") < story.index("`worker` is held back here")
    # Not longer than anything may be late.
    assert find_failure(timer_and_ready_task, lateness=0.2, save=False) is None


def test_a_story_without_departures_has_the_whole_of_a_short_run() -> None:
    async def main() -> None:
        for _ in range(9):
            await asyncio.sleep(0)
        raise ValueError

    assert found(main).story.count("-> test_explore.py") == 9


def in_c(loop: Any, coro: Any, **options: Any) -> Any:
    return asyncio.Task(coro, loop=loop, **options)


def in_c_eagerly(loop: Any, coro: Any, **options: Any) -> Any:
    return asyncio.Task(coro, loop=loop, eager_start=True, **options)


EAGER = pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")


@pytest.mark.parametrize("factory", [in_c, pytest.param(in_c_eagerly, marks=EAGER)])
def test_tasks_of_asyncios_own_class_are_held_back_and_cancelled_too(factory: Any) -> None:
    async def increments() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        await programs.lost_update()

    failure = found(increments)
    assert failure.verdict == "order"
    assert [each.who for each in failure.departures] == ["increment"]
    assert "`increment` was held back" in failure.story

    async def transfer() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        await programs.half_a_transfer()

    failure = found(transfer, cancel="anywhere")
    assert failure.verdict == "cancellation"
    assert len(failure.departures) == 1
    assert "`transfer` was cancelled " in failure.story
    assert "at programs.py:67 (await asyncio.sleep(0.1))" in failure.story


def test_tasks_of_asyncios_own_class_that_are_left_over_are_ended() -> None:
    ended: list[str] = []

    async def sleep(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for name in "ab":
            in_c(loop, sleep(name), name=name)
        await asyncio.sleep(0)

    assert find(main, strategy="fifo") is None
    assert ended == ["a", "b"]


def test_the_same_seed_gives_the_same_failure() -> None:
    first = found(programs.lost_update, strategy="random", seed=5)
    second = found(programs.lost_update, strategy="random", seed=5)
    assert (first.runs, first.schedule) == (second.runs, second.schedule)


def test_each_run_sees_the_same_random_numbers() -> None:
    seen = set()

    async def main() -> None:
        seen.add(random.random())

    explore(main, schedules=5, strategy="random", save=False)
    assert len(seen) == 1


def test_sets_of_tasks_have_the_same_order_in_every_run() -> None:
    orders = set()

    async def main() -> None:
        names = [f"t{number}" for number in range(20)]
        tasks = {asyncio.create_task(asyncio.sleep(0), name=name) for name in names}
        orders.add(tuple(task.get_name() for task in tasks))
        await asyncio.wait(tasks)

    explore(main, schedules=6, strategy="random", save=False)
    assert len(orders) == 1


def test_cancellation_is_delivered_at_each_await() -> None:
    places = set()

    async def main() -> None:
        async def work() -> None:
            place = "start"
            try:
                place = "first"
                await asyncio.sleep(0)
                place = "second"
                await asyncio.sleep(1)
                place = "third"
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                places.add(place)
                raise

        await asyncio.wait([asyncio.create_task(work())])

    assert find(main, cancel="anywhere") is None
    assert places == {"first", "second", "third"}


def test_a_half_done_transfer_is_found_by_cancellation_alone() -> None:
    assert find(programs.half_a_transfer, schedules=100) is None
    for cancel in ("anywhere", "tran*", lambda task: task.get_name() == "transfer"):
        failure = found(programs.half_a_transfer, cancel=cancel)
        assert failure.verdict == "cancellation"
        assert "`transfer` was cancelled" in failure.story
    assert find(programs.half_a_transfer, cancel="other") is None


def test_a_cancellation_that_reaches_the_test_is_no_failure() -> None:
    async def main() -> None:
        await asyncio.create_task(asyncio.sleep(1))

    assert find(main, cancel="anywhere") is None


def test_timeouts_strike_at_each_point_if_lateness_has_no_bound() -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            for _ in range(3):
                await asyncio.sleep(0)

    assert find(main, schedules=100) is None
    failure = found(main, schedules=100, lateness=float("inf"))
    assert isinstance(failure.error, TimeoutError)
    assert failure.verdict == "lateness"


def test_the_story_names_lines_and_who_ran_meanwhile() -> None:
    story = found(programs.lost_update).story
    assert "`increment` was held back" in story
    assert "`increment#2`" in story
    assert "programs.py:" in story
    assert "await asyncio.sleep(0)" in story


def test_a_test_that_is_not_deterministic_is_said_to_be_so() -> None:
    runs = []

    async def main() -> None:
        runs.append(1)
        assert len(runs) != 3

    failure = found(main, strategy="random")
    assert "not deterministic" in str(failure)


def test_a_time_limit_ends_an_exploration() -> None:
    exploration = explore(
        programs.correct, schedules=10**9, strategy="random", time_limit=0.05, save=False
    )
    assert 0 < exploration.schedules < 10**9


def test_memory_stays_flat() -> None:
    def objects_after(schedules: int) -> int:
        explore(programs.correct, schedules=schedules, save=False)
        gc.collect()
        return len(gc.get_objects())

    objects_after(100)
    before = objects_after(100)
    assert objects_after(1500) - before < 200


def test_nothing_of_asyncio_or_the_interpreter_stays_changed() -> None:
    state = random.getstate()
    collecting = gc.isenabled()
    own_hash = vars(type(asyncio.run(_a_future()))).get("__hash__")
    find(programs.lost_update)
    assert random.getstate() == state
    assert gc.isenabled() is collecting
    assert vars(type(asyncio.run(_a_future()))).get("__hash__") is own_hash
    from miniloop import Future

    assert "__hash__" not in vars(Future)


async def _a_future() -> Any:
    return asyncio.get_running_loop().create_future()


def test_explore_raises_and_chains_the_cause(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        explore(programs.lost_update, save_to=tmp_path)
    assert isinstance(caught.value.__cause__, AssertionError)
    assert caught.value.replay_file is not None
    assert caught.value.replay_file.parent == tmp_path
    assert caught.value.recording is not None
    assert read(caught.value.recording).ended == "failed: AssertionError"
    assert caught.value.page is not None
    assert "lost_update" in caught.value.page.read_text(encoding="utf-8")


@pytest.mark.parametrize("strategy", ["luck", "pct:x", "mixed:3"])
def test_a_strategy_that_is_none_is_refused(strategy: str) -> None:
    with pytest.raises(ValueError, match="strategy"):
        explore(programs.correct, strategy=strategy)


def test_schedules_within_a_running_loop_are_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="running event loop"):
            explore(programs.correct)

    asyncio.run(main())


def test_threads_are_taken_in_order_under_schedules() -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(pow, n, 2) for n in range(3)))

    assert explore(main, schedules=20, expect=[0, 1, 4], save=False).schedules == 20


def test_debug_mode_can_be_on() -> None:
    assert found(programs.lost_update, debug=True).verdict == "order"
