"""What a coroutine may not yield, and what it is told when it does."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator
from typing import Any

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]


@types.coroutine
def hand_out(thing: Any) -> Generator[Any, Any, Any]:
    """Yield something to the task, as only a future's `__await__` should."""
    return (yield thing)


def run(loop: asyncio.AbstractEventLoop, thing: Any) -> str:
    """Have a task yield `thing`; gives the error that the coroutine saw, and proves it went on."""

    async def main() -> str:
        try:
            await hand_out(thing)
        except RuntimeError as exc:
            text = str(exc)
        else:
            pytest.fail("nothing was raised")
        await asyncio.sleep(0)
        return text

    return loop.run_until_complete(main())


@pytest.mark.parametrize("thing", [42, "text", object(), False, 0, ()], ids=repr)
def test_yielding_what_cannot_be_waited_for(loop: asyncio.AbstractEventLoop, thing: object) -> None:
    assert run(loop, thing) == f"Task got bad yield: {thing!r}"


def test_yielding_a_future_that_nobody_awaits(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    text = run(loop, future)
    assert text.startswith("yield was used instead of yield from in task <Task pending")
    assert repr(future) in text


def test_yielding_a_foreign_future_that_nobody_awaits(loop: asyncio.AbstractEventLoop) -> None:
    future: asyncio.Future[None] = asyncio.Future(loop=loop)
    assert run(loop, future).startswith("yield was used instead of yield from in task")


def test_yielding_a_generator(loop: asyncio.AbstractEventLoop) -> None:
    generator = (number for number in range(3))
    text = run(loop, generator)
    assert text.startswith("yield was used instead of yield from for generator in task")


def test_awaiting_a_future_of_another_loop(
    loop: asyncio.AbstractEventLoop, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    other = loop_factory()
    elsewhere = other.create_future()

    async def main() -> str:
        with pytest.raises(RuntimeError, match="attached to a different loop") as caught:
            await elsewhere
        return str(caught.value)

    text = loop.run_until_complete(main())
    assert text.startswith("Task <Task pending")
    assert "got Future <Future pending" in text
    other.close()


def test_a_task_that_awaits_itself(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        this = asyncio.current_task()
        assert this is not None
        with pytest.raises(RuntimeError, match="Task cannot await on itself"):
            await this

    loop.run_until_complete(main())


def test_a_future_that_is_done_by_the_time_the_task_sees_it(
    loop: asyncio.AbstractEventLoop,
) -> None:
    # Something between the future and the task, here a generator, may finish it on its way.
    @types.coroutine
    def meddle() -> Generator[Any, Any, str]:
        future = loop.create_future()
        inner = future.__await__()
        yielded = next(inner)
        future.set_result("finished on its way")
        yield yielded
        try:
            next(inner)
        except StopIteration as stop:
            return str(stop.value)
        raise AssertionError("the future was not done")

    async def main() -> str:
        return await meddle()

    assert loop.run_until_complete(asyncio.wait_for(main(), 5)) == "finished on its way"


def test_a_failed_future_that_the_task_sees_too_late(loop: asyncio.AbstractEventLoop) -> None:
    @types.coroutine
    def meddle() -> Generator[Any, Any, None]:
        future = loop.create_future()
        yielded = next(future.__await__())
        future.set_exception(LookupError("on its way"))
        yield yielded

    async def main() -> str:
        with pytest.raises(LookupError) as caught:
            await meddle()
        return str(caught.value)

    assert loop.run_until_complete(asyncio.wait_for(main(), 5)) == "on its way"


def test_a_future_that_a_coroutine_keeps_from_its_task_may_be_awaited_later(
    loop: asyncio.AbstractEventLoop,
) -> None:
    @types.coroutine
    def hold_back() -> Generator[Any, Any, Any]:
        future = loop.create_future()
        inner = future.__await__()
        next(inner)
        yield  # a turn of its own first
        loop.call_soon(future.set_result, "value")
        yield future
        try:
            inner.send(None)
        except StopIteration as stop:
            return stop.value

    async def main() -> Any:
        return await hold_back()

    assert loop.run_until_complete(asyncio.wait_for(main(), 5)) == "value"


def test_a_coroutine_that_two_tasks_run_ends_for_both(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    coroutine = main()
    one, other = loop.create_task(coroutine), loop.create_task(coroutine)
    results = loop.run_until_complete(asyncio.gather(one, other, return_exceptions=True))
    # The second resumed it and saw its end; to the first it had ended already.
    assert isinstance(results[0], RuntimeError)
    assert "cannot reuse already awaited coroutine" in str(results[0])
    assert results[1] is None


def test_cancelling_after_a_bad_yield_wins(loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
    async def main() -> None:
        await hand_out("nonsense")

    task = loop.create_task(main())
    turn(loop)
    task.cancel("instead")
    with pytest.raises(asyncio.CancelledError, match="instead"):
        loop.run_until_complete(task)


def test_a_task_of_ours_on_another_loop_is_refused_in_words() -> None:
    loop = asyncio.new_event_loop()

    async def nothing() -> None:
        pass

    coroutine = nothing()
    with pytest.raises(TypeError, match="needs a loop of miniloop, got <_UnixSelectorEventLoop"):
        miniloop.Task(coroutine, loop=loop)
    coroutine.close()
    loop.close()
