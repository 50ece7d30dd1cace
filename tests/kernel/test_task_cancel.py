"""Cancellation: a request, at each point at which a task can stand."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

Turn = Callable[[asyncio.AbstractEventLoop], None]


async def wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def cancelled_with(loop: asyncio.AbstractEventLoop, task: asyncio.Future[Any]) -> tuple[Any, ...]:
    """The arguments of the CancelledError with which a task ends."""
    with pytest.raises(asyncio.CancelledError) as caught:
        loop.run_until_complete(task)
    assert task.cancelled()
    return caught.value.args


def test_before_the_first_step_the_coroutine_never_runs(loop: asyncio.AbstractEventLoop) -> None:
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    task = loop.create_task(work())
    assert task.cancel("early") is True
    assert cancelled_with(loop, task) == ("early",)
    assert ran == []


def test_while_it_waits_for_a_future_the_future_is_cancelled_too(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    future = loop.create_future()

    async def work() -> None:
        await future

    task = loop.create_task(work())
    turn(loop)
    task.cancel("waiting")
    assert future.cancelled()
    assert cancelled_with(loop, task) == ("waiting",)


def test_while_it_sleeps(loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
    task = loop.create_task(asyncio.sleep(3600))
    turn(loop)
    task.cancel("sleeping")
    assert cancelled_with(loop, task) == ("sleeping",)


def test_after_a_bare_yield(loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
    async def work() -> None:
        while True:
            await asyncio.sleep(0)

    task = loop.create_task(work())
    turn(loop)
    task.cancel("yielded")
    assert cancelled_with(loop, task) == ("yielded",)


def test_when_the_future_is_done_but_the_task_not_yet_woken(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    future = loop.create_future()
    seen: list[str] = []

    async def work() -> None:
        try:
            await future
        finally:
            seen.append("left")

    task = loop.create_task(work())
    turn(loop)
    future.set_result("too late")
    task.cancel("just then")
    assert cancelled_with(loop, task) == ("just then",)
    assert seen == ["left"]


def test_when_the_future_has_failed_but_the_task_is_not_yet_woken(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    future = loop.create_future()

    async def work() -> None:
        await future

    task = loop.create_task(work())
    turn(loop)
    future.set_exception(LookupError("lost"))
    task.cancel("just then")
    assert cancelled_with(loop, task) == ("just then",)


def test_by_itself_before_it_waits(loop: asyncio.AbstractEventLoop) -> None:
    async def work() -> None:
        this = asyncio.current_task()
        assert this is not None
        this.cancel("myself")
        await asyncio.sleep(0)

    assert cancelled_with(loop, loop.create_task(work())) == ("myself",)


def test_by_itself_before_it_waits_for_a_future_which_is_cancelled(
    loop: asyncio.AbstractEventLoop,
) -> None:
    future = loop.create_future()

    async def work() -> None:
        this = asyncio.current_task()
        assert this is not None
        this.cancel("myself")
        await future

    assert cancelled_with(loop, loop.create_task(work())) == ("myself",)
    assert future.cancelled()


def test_by_itself_in_its_last_step(loop: asyncio.AbstractEventLoop) -> None:
    async def work() -> str:
        this = asyncio.current_task()
        assert this is not None
        this.cancel("myself")
        return "never seen"

    assert cancelled_with(loop, loop.create_task(work())) == ("myself",)


def test_by_itself_in_the_step_in_which_it_fails(loop: asyncio.AbstractEventLoop) -> None:
    async def work() -> None:
        this = asyncio.current_task()
        assert this is not None
        this.cancel()
        raise LookupError("lost")

    task = loop.create_task(work())
    with pytest.raises(LookupError):
        loop.run_until_complete(task)
    assert not task.cancelled()


def test_when_it_is_done_it_is_too_late(loop: asyncio.AbstractEventLoop) -> None:
    task = loop.create_task(asyncio.sleep(0, "done"))
    loop.run_until_complete(task)
    assert task.cancel() is False
    assert task.cancelling() == 0
    assert task.result() == "done"


def test_through_a_chain_of_tasks_the_innermost_is_cancelled_first(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    order: list[str] = []

    async def work(name: str, inner: asyncio.Task[None] | None) -> None:
        try:
            await (wait_for_ever() if inner is None else inner)
        except asyncio.CancelledError as exc:
            order.append(f"{name}: {exc.args[0]}")
            raise

    task = None
    for name in ("inner", "middle", "outer"):
        task = loop.create_task(work(name, task))
        turn(loop)
    assert task is not None
    task.cancel("down")
    assert cancelled_with(loop, task) == ("down",)
    assert order == ["inner: down", "middle: down", "outer: down"]


def test_a_task_may_refuse_to_be_cancelled(loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
    async def work() -> str:
        try:
            await wait_for_ever()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "still here"

    task = loop.create_task(work())
    turn(loop)
    task.cancel()
    assert loop.run_until_complete(task) == "still here"
    assert not task.cancelled()
    assert task.cancelling() == 1


def test_a_task_that_waits_for_one_that_refuses_goes_on_waiting(
    loop: asyncio.AbstractEventLoop,
) -> None:
    release = loop.create_future()

    async def stubborn() -> str:
        try:
            await wait_for_ever()
        except asyncio.CancelledError:
            await release
        return "inner result"

    async def outer(inner: asyncio.Task[str]) -> str:
        return await inner

    async def main() -> str:
        inner = loop.create_task(stubborn())
        task = loop.create_task(outer(inner))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
        release.set_result(None)
        return await task

    assert loop.run_until_complete(main()) == "inner result"


def test_a_task_may_turn_its_cancellation_into_a_failure(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    async def work() -> None:
        try:
            await wait_for_ever()
        except asyncio.CancelledError:
            raise LookupError("instead") from None

    task = loop.create_task(work())
    turn(loop)
    task.cancel()
    with pytest.raises(LookupError, match="instead"):
        loop.run_until_complete(task)


def test_a_coroutine_may_cancel_itself_by_raising(loop: asyncio.AbstractEventLoop) -> None:
    async def work() -> None:
        raise asyncio.CancelledError("on my own")

    assert cancelled_with(loop, loop.create_task(work())) == ("on my own",)


def test_the_message_of_the_last_request_wins_before_the_first_step(
    loop: asyncio.AbstractEventLoop,
) -> None:
    task = loop.create_task(wait_for_ever())
    task.cancel("first")
    task.cancel("second")
    assert task.cancelling() == 2
    assert cancelled_with(loop, task) == ("second",)


def test_the_message_of_the_first_request_wins_while_it_waits(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    task = loop.create_task(wait_for_ever())
    turn(loop)
    task.cancel("first")
    task.cancel("second")
    # The first cancelled the future that it waits for, whose error is on its way already.
    args = cancelled_with(loop, task)
    assert args == ("first",)


def test_the_error_that_comes_out_is_the_one_that_went_through_the_coroutine(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    seen: list[BaseException] = []

    async def work() -> None:
        try:
            await wait_for_ever()
        except asyncio.CancelledError as exc:
            seen.append(exc)
            raise

    task = loop.create_task(work())
    turn(loop)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        loop.run_until_complete(task)
    assert caught.value is seen[0]
    with pytest.raises(asyncio.CancelledError) as again:
        task.result()
    assert again.value is not seen[0]  # given away once: it holds frames


def test_requests_are_counted_and_can_be_taken_back(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    counts: list[int] = []

    async def work() -> str:
        this = asyncio.current_task()
        assert this is not None
        try:
            await wait_for_ever()
        except asyncio.CancelledError:
            counts.append(this.cancelling())
            counts.append(this.uncancel())
            counts.append(this.uncancel())
            counts.append(this.uncancel())  # never below zero
        await asyncio.sleep(0)
        return "went on"

    task = loop.create_task(work())
    turn(loop)
    assert task.cancelling() == 0
    task.cancel()
    task.cancel()
    assert loop.run_until_complete(task) == "went on"
    assert counts == [2, 1, 0, 0]


def test_a_request_that_was_taken_back_in_time_does_not_cancel(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def work() -> str:
        this = asyncio.current_task()
        assert this is not None
        this.cancel()
        this.uncancel()
        await asyncio.sleep(0)
        return "went on"

    if sys.version_info >= (3, 13):
        assert loop.run_until_complete(work()) == "went on"
    else:
        assert cancelled_with(loop, loop.create_task(work())) == ()


@pytest.mark.parametrize("steps", range(12))
def test_a_timeout_that_strikes_at_any_step_cancels_only_its_own_block(
    loop: asyncio.AbstractEventLoop, steps: int
) -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(None) as limit:
                for step in range(10):
                    if step == steps:
                        limit.reschedule(loop.time() - 1)
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
        except TimeoutError:
            outcome = "timed out"
        else:
            outcome = "in time"
        this = asyncio.current_task()
        assert this is not None
        assert this.cancelling() == 0
        await asyncio.sleep(0)
        return outcome

    assert loop.run_until_complete(work()) == ("timed out" if steps < 10 else "in time")


@pytest.mark.parametrize("turns", range(8))
def test_cancelling_a_nest_at_any_turn_runs_every_finally_once(
    loop: asyncio.AbstractEventLoop, turn: Turn, turns: int
) -> None:
    entered: list[str] = []
    left: list[str] = []

    async def child(name: str) -> None:
        entered.append(name)
        try:
            await wait_for_ever()
        finally:
            await asyncio.sleep(0)
            left.append(name)

    async def nest() -> None:
        entered.append("nest")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child("a"))
                await asyncio.sleep(0)
                group.create_task(child("b"))
                async with asyncio.timeout(3600):
                    await asyncio.shield(asyncio.sleep(0))
                    await asyncio.gather(child("c"), child("d"))
        finally:
            left.append("nest")

    task = loop.create_task(nest())
    for _ in range(turns):
        turn(loop)
    task.cancel("stop")
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert sorted(entered) == sorted(left)
    pending = asyncio.all_tasks(loop)
    if pending:
        loop.run_until_complete(asyncio.wait(pending))


def test_a_shielded_task_goes_on(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> str:
        inner = loop.create_task(asyncio.sleep(0.001, "finished"))

        async def outer() -> None:
            await asyncio.shield(inner)

        task = loop.create_task(outer())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return await inner

    assert loop.run_until_complete(main()) == "finished"


async def wait_for_task(task: asyncio.Task[None]) -> None:
    await task


def test_a_chain_of_tasks_longer_than_the_stack_is_cancelled_at_its_end(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    if sys.version_info < (3, 13) and not type(loop).__module__.startswith("miniloop"):
        pytest.skip("asyncio's own tasks raise RecursionError before 3.13")
    chain = [loop.create_task(wait_for_ever())]
    for _ in range(3 * sys.getrecursionlimit()):
        chain.append(loop.create_task(wait_for_task(chain[-1])))
    turn(loop)
    assert chain[-1].cancel("all") is True
    assert {task.cancelling() for task in chain} == {1}
    loop.run_until_complete(asyncio.wait(chain))
    assert all(task.cancelled() for task in chain)


def test_tasks_that_wait_for_each_other_in_a_circle_cannot_be_cancelled(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    if not type(loop).__module__.startswith("miniloop"):
        pytest.skip("asyncio's own tasks end the process")
    tasks: list[asyncio.Task[None]] = []
    release = loop.create_future()

    async def work(other: int) -> None:
        await release
        await tasks[other]

    tasks += [loop.create_task(work(1)), loop.create_task(work(0))]
    turn(loop)
    release.set_result(None)
    turn(loop)
    with pytest.raises(RecursionError):
        tasks[0].cancel()
    assert [task.cancelling() for task in tasks] == [0, 0]
    # They never end: take them out of each other's hands.
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # not in stubs
