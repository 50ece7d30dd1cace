"""Tasks that take their first step at once, on every Python."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable
from typing import Any

import pytest

import miniloop


def by_the_class(loop: Any, coro: Any, **kwargs: Any) -> Any:
    """A factory that the loop does not know, and calls: the tasks go the long way."""
    return miniloop.Task(coro, loop=loop, eager_start=True, **kwargs)


FACTORIES: list[Any] = [miniloop.eager_task_factory, by_the_class]
if sys.version_info >= (3, 12):
    FACTORIES.append(asyncio.eager_task_factory)


@pytest.fixture(params=FACTORIES, ids=lambda factory: factory.__module__)
def eager(request: pytest.FixtureRequest, mini: miniloop.EventLoop) -> miniloop.EventLoop:
    """Our loop with an eager task factory; ours and asyncio's are both taken to mean ours."""
    mini.set_task_factory(request.param)
    return mini


async def give(value: Any) -> Any:
    return value


def test_a_coroutine_that_never_waits_is_done_at_once(eager: miniloop.EventLoop) -> None:
    async def main() -> None:
        task = eager.create_task(give(42), name="named")
        assert task.done()
        assert task.result() == 42
        assert task.get_name() == "named"
        assert task not in asyncio.all_tasks()
        assert task not in eager.tasks

    eager.run_until_complete(main())


def test_it_takes_one_step_and_the_rest_waits_for_a_turn(eager: miniloop.EventLoop) -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def child() -> None:
            order.append("child begins")
            await asyncio.sleep(0)
            order.append("child ends")

        order.append("before")
        task = eager.create_task(child())
        order.append("after")
        assert task in asyncio.all_tasks()
        await task
        return order

    assert eager.run_until_complete(main()) == ["before", "child begins", "after", "child ends"]


def test_the_current_task_is_the_child_and_then_the_parent_again(
    eager: miniloop.EventLoop,
) -> None:
    async def main() -> None:
        parent = asyncio.current_task()
        seen: list[object] = []

        async def child() -> None:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())

        task = eager.create_task(child())
        assert asyncio.current_task() is parent
        await task
        assert seen == [task, task]
        assert asyncio.current_task() is parent

    eager.run_until_complete(main())


def test_eager_tasks_nest(eager: miniloop.EventLoop) -> None:
    async def nest(depth: int) -> int:
        this = asyncio.current_task()
        inner = 0 if depth == 0 else await eager.create_task(nest(depth - 1))
        assert asyncio.current_task() is this
        return inner + 1

    assert eager.run_until_complete(nest(50)) == 51


def test_a_failure_in_the_first_step_is_the_tasks(eager: miniloop.EventLoop) -> None:
    async def fail() -> None:
        raise LookupError("lost")

    async def main() -> None:
        task = eager.create_task(fail())
        assert task.done()
        assert isinstance(task.exception(), LookupError)
        with pytest.raises(LookupError, match="lost"):
            await task

    eager.run_until_complete(main())


def test_a_cancellation_in_the_first_step_is_the_tasks(eager: miniloop.EventLoop) -> None:
    async def cancel() -> None:
        raise asyncio.CancelledError("by itself")

    async def main() -> None:
        task = eager.create_task(cancel())
        assert task.cancelled()
        with pytest.raises(asyncio.CancelledError, match="by itself"):
            await task

    eager.run_until_complete(main())


def test_a_cancellation_of_itself_comes_at_the_next_await(eager: miniloop.EventLoop) -> None:
    async def cancel_and_wait_for(awaited: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel("by itself")
        if awaited is not None:
            await awaited

    async def main() -> None:
        future = eager.create_future()
        for awaited in None, asyncio.sleep(0), future, asyncio.Future():
            task = eager.create_task(cancel_and_wait_for(awaited))
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
        assert future.cancelled()

    eager.run_until_complete(main())


def test_the_first_step_may_wait_for_anything(eager: miniloop.EventLoop) -> None:
    async def wait_for(awaited: Any) -> Any:
        return await awaited

    class Foreign(asyncio.Future[Any]):
        pass

    async def main() -> None:
        shared = eager.create_future()
        for future in eager.create_future(), shared, shared, Foreign():
            task = eager.create_task(wait_for(future))
            assert not task.done()
            assert task in asyncio.all_tasks()
            await asyncio.sleep(0)
            if future is not shared:
                future.set_result("there")
                assert await task == "there"
        waiting = [eager.create_task(wait_for(shared)) for _ in range(3)]
        shared.set_result("for all")
        assert await asyncio.gather(*waiting) == ["for all"] * 3

    eager.run_until_complete(main())


def test_a_bad_yield_in_the_first_step_is_raised_there(eager: miniloop.EventLoop) -> None:
    class Bad:
        def __await__(self) -> Any:
            yield "nonsense"

    async def wait() -> None:
        await Bad()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="Task got bad yield: 'nonsense'"):
            await eager.create_task(wait())

    eager.run_until_complete(main())


def test_a_keyboard_interrupt_in_the_first_step_comes_out_at_once(
    eager: miniloop.EventLoop,
) -> None:
    async def interrupt() -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        parent = asyncio.current_task()
        with pytest.raises(KeyboardInterrupt):
            eager.create_task(interrupt())
        assert asyncio.current_task() is parent

    eager.run_until_complete(main())


def test_the_first_step_runs_in_a_context_of_its_own(eager: miniloop.EventLoop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def child() -> str:
        seen = variable.get()
        variable.set("child")
        await asyncio.sleep(0)
        return f"{seen}, {variable.get()}"

    async def main() -> list[str]:
        variable.set("parent")
        task = eager.create_task(child())
        assert variable.get() == "parent"
        return [await task, variable.get()]

    assert eager.run_until_complete(main()) == ["parent, child", "parent"]


def test_a_context_can_be_given(eager: miniloop.EventLoop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    context = contextvars.copy_context()

    async def child() -> None:
        variable.set("child")

    async def main() -> None:
        await eager.create_task(child(), context=context)

    eager.run_until_complete(main())
    assert context[variable] == "child"


def test_outside_of_a_running_loop_the_first_step_waits(eager: miniloop.EventLoop) -> None:
    task = eager.create_task(give(42))
    assert not task.done()
    assert eager.run_until_complete(task) == 42


def test_callbacks_still_run_a_turn_later(eager: miniloop.EventLoop) -> None:
    async def main() -> None:
        seen: list[object] = []
        task = eager.create_task(give(42))
        task.add_done_callback(seen.append)
        assert seen == []
        await asyncio.sleep(0)
        assert seen == [task]

    eager.run_until_complete(main())


def test_task_groups_and_gather_take_eager_tasks(eager: miniloop.EventLoop) -> None:
    async def main() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(give(number)) for number in range(3)]
        gathered = await asyncio.gather(*(give(number) for number in range(3)))
        return [task.result() for task in tasks] + gathered

    assert eager.run_until_complete(main()) == [0, 1, 2, 0, 1, 2]


def test_a_finished_eager_task_has_no_coroutine_and_a_repr(eager: miniloop.EventLoop) -> None:
    async def main() -> None:
        task = eager.create_task(give(42), name="done")
        assert task.get_coro() is None
        assert "name='done'" in repr(task)
        assert "result=42" in repr(task)
        assert task.get_stack() == []

    eager.run_until_complete(main())


def test_the_tasks_are_ours(eager: miniloop.EventLoop) -> None:
    async def main() -> None:
        task = eager.create_task(asyncio.sleep(0))
        assert type(task) is miniloop.Task
        await task

    eager.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in CPython 3.12")
def test_eager_factories_of_asyncio_with_a_class_of_the_users_own(
    loop: asyncio.AbstractEventLoop,
) -> None:
    made: list[object] = []

    class Task(asyncio.Task[Any]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append(kwargs.get("eager_start"))
            super().__init__(*args, **kwargs)

    async def main() -> int:
        task = asyncio.get_running_loop().create_task(give(1))
        assert task.done()
        return await task

    create: Callable[..., Any] = asyncio.create_eager_task_factory
    loop.set_task_factory(create(Task))
    assert loop.run_until_complete(main()) == 1
    assert made == [True, True]
