"""How a task or a future refuses to begin: at once, and with nothing left behind."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
from typing import Any

import pytest

import miniloop


@pytest.fixture(autouse=True)
def needs_a_recent_asyncio(request: pytest.FixtureRequest) -> None:
    if sys.version_info < (3, 15) and "asyncio" in request.node.callspec.id.split("-"):
        pytest.skip("asyncio refuses it since CPython 3.15")


def start_eagerly(loop: asyncio.AbstractEventLoop) -> None:
    ours = sys.version_info < (3, 12)
    loop.set_task_factory(miniloop.eager_task_factory if ours else asyncio.eager_task_factory)


def make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    kind: Any = miniloop.Task if isinstance(loop, miniloop.EventLoop) else asyncio.Task
    return kind(coro, loop=loop, **options)


async def nothing() -> None:
    pass


def test_a_future_cannot_be_initialised_twice(loop: asyncio.AbstractEventLoop) -> None:
    future: Any = loop.create_future()
    with pytest.raises(RuntimeError, match="already initialized"):
        future.__init__(loop=loop)
    future.set_result(1)
    with pytest.raises(RuntimeError, match="already initialized"):
        future.__init__(loop=loop)
    assert future.result() == 1


@pytest.mark.parametrize("how", ["create_task", "class"])
def test_a_task_cannot_be_initialised_twice(loop: asyncio.AbstractEventLoop, how: str) -> None:
    task: Any = loop.create_task(nothing()) if how == "create_task" else make_task(loop, nothing())
    other = nothing()
    with pytest.raises(RuntimeError, match="already initialized"):
        task.__init__(other, loop=loop)
    other.close()
    loop.run_until_complete(task)
    assert task.done()


@pytest.mark.parametrize("context", [42, "context", {}], ids=repr)
@pytest.mark.parametrize("how", ["create_task", "class", "eager class", "eager factory"])
def test_what_is_no_context_is_refused_at_once(
    loop: asyncio.AbstractEventLoop, how: str, context: Any
) -> None:
    async def main() -> None:
        coro = nothing()
        if how == "eager factory":
            start_eagerly(loop)
        make = functools.partial(make_task, loop) if how.endswith("class") else loop.create_task
        options: dict[str, Any] = {"eager_start": True} if how == "eager class" else {}
        with pytest.raises(TypeError):
            make(coro, context=context, **options)
        coro.close()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop.run_until_complete(main())


@pytest.mark.parametrize("how", ["class", "factory"])
def test_an_eager_task_cannot_begin_in_a_context_that_is_entered(
    loop: asyncio.AbstractEventLoop, how: str
) -> None:
    async def main() -> None:
        context = contextvars.copy_context()

        def begin() -> None:
            coro = nothing()
            make: Any = loop.create_task
            if how == "class":
                make = functools.partial(make_task, loop, eager_start=True)
            with pytest.raises(RuntimeError, match="already entered"):
                make(coro, context=context)
            coro.close()

        if how == "factory":
            start_eagerly(loop)
        task = asyncio.current_task()
        context.run(begin)
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {task}

    loop.run_until_complete(main())
