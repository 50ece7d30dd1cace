"""Which tasks wait for a future, as asyncio's call graph sees it."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import miniloop

Tool = Callable[[asyncio.Future[Any]], Awaitable[object]]


async def by_await(future: asyncio.Future[Any]) -> None:
    await future


async def by_gather(future: asyncio.Future[Any]) -> None:
    await asyncio.gather(future, asyncio.sleep(0))


async def by_gather_in_gather(future: asyncio.Future[Any]) -> None:
    await asyncio.gather(asyncio.gather(future))


async def by_wait(future: asyncio.Future[Any]) -> None:
    await asyncio.wait([future])


async def by_wait_for(future: asyncio.Future[Any]) -> None:
    await asyncio.wait_for(future, 3600)


async def by_shield(future: asyncio.Future[Any]) -> None:
    await asyncio.shield(future)


async def by_as_completed(future: asyncio.Future[Any]) -> None:
    for first in asyncio.as_completed([future]):
        await first


async def by_timeout(future: asyncio.Future[Any]) -> None:
    async with asyncio.timeout(3600):
        await future


TOOLS = [value for name, value in list(globals().items()) if name.startswith("by_")]
# Older Pythons keep no reference to the task there: what is not there cannot be found.
NAMELESS = [by_as_completed] if sys.version_info < (3, 14) else []


@pytest.fixture
def loop(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    if sys.version_info < (3, 14) and not isinstance(loop, miniloop.EventLoop):
        pytest.skip("asyncio has a call graph from CPython 3.14 on")
    return loop


def awaiters(future: Any) -> set[Any]:
    return set(future._asyncio_awaited_by or ())


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool not in NAMELESS])
def test_who_waits_by_a_tool_of_asyncio_is_found(
    loop: asyncio.AbstractEventLoop, tool: Tool
) -> None:
    async def work(end: asyncio.Future[None]) -> None:
        await end

    async def main() -> None:
        end = loop.create_future()
        awaited = loop.create_task(work(end))
        task = asyncio.ensure_future(tool(awaited))
        for _ in range(3):
            await asyncio.sleep(0)
        assert awaiters(end) == {awaited}
        assert awaiters(awaited) == {task}
        assert awaiters(task) == set()
        end.set_result(None)
        await task
        assert awaiters(end) == awaiters(awaited) == set()

    loop.run_until_complete(main())


def test_the_task_of_a_group_is_found(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        end = loop.create_future()
        async with asyncio.TaskGroup() as group:
            child = group.create_task(by_await(end))
            assert awaiters(child) == {asyncio.current_task()}
            end.set_result(None)

    loop.run_until_complete(main())


def test_several_who_wait_are_all_found(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        end = loop.create_future()
        tasks = {loop.create_task(by_await(end)) for _ in range(3)}
        end.add_done_callback(lambda _: None)  # nobody's
        await asyncio.sleep(0)
        assert awaiters(end) == tasks
        end.set_result(None)
        await asyncio.wait(tasks)

    loop.run_until_complete(main())


def test_who_has_stopped_waiting_is_not_found(loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise LookupError

    async def main() -> None:
        end = loop.create_future()
        for tool in (asyncio.gather(end, fail()), asyncio.wait_for(end, 0), asyncio.sleep(0)):
            task = asyncio.ensure_future(tool)
            await asyncio.wait([task])
            task.exception() if not task.cancelled() else None
            assert awaiters(end) == set()
            end = loop.create_future()

    loop.run_until_complete(main())


def test_a_task_of_another_make_is_found_and_does_not_find_ours() -> None:
    loop = miniloop.new_event_loop()
    stock: Any = getattr(asyncio.tasks, "_CTask", asyncio.Task)

    async def main() -> None:
        end = loop.create_future()
        foreign = stock(by_await(end), loop=loop)
        waits = loop.create_task(by_await(foreign))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert awaiters(end) == {foreign}
        assert not getattr(foreign, "_asyncio_awaited_by", None)
        end.set_result(None)
        await waits

    loop.run_until_complete(main())
    loop.close()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in CPython 3.14")
def test_a_library_can_say_who_waits_in_a_way_of_its_own(loop: asyncio.AbstractEventLoop) -> None:
    # As the task groups of anyio do.
    add: Any = vars(asyncio)["future_add_to_awaited_by"]
    discard: Any = vars(asyncio)["future_discard_from_awaited_by"]

    async def main() -> None:
        end = loop.create_future()
        task: Any = asyncio.current_task()
        child = loop.create_task(by_await(end))
        add(child, task)
        add(end, task)
        await asyncio.sleep(0)
        assert awaiters(child) == {task}
        assert awaiters(end) == {task, child}
        for _ in range(2):
            discard(child, task)
            discard(end, task)
        add(child, None)
        add(None, child)
        discard(None, child)
        assert awaiters(child) == set()
        assert awaiters(end) == {child}
        foreign = asyncio.Future(loop=loop)
        add(foreign, foreign)
        assert awaiters(foreign) == {foreign}
        discard(foreign, foreign)
        assert awaiters(foreign) == set()
        end.set_result(None)
        await child

    loop.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in CPython 3.14")
def test_the_call_graph_can_be_printed(loop: asyncio.AbstractEventLoop) -> None:
    async def inner(end: asyncio.Future[None]) -> None:
        await end

    async def outer(task: asyncio.Task[None]) -> None:
        await task

    async def main() -> None:
        end = loop.create_future()
        task = loop.create_task(inner(end), name="inner")
        waiting = loop.create_task(outer(task), name="outer")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        text = io.StringIO()
        asyncio.print_call_graph(end, file=text)  # type: ignore[attr-defined]  # by the oldest
        told = re.findall(r"Task\(name='(\w+)'|in async .*?(\w+)\(\)", text.getvalue())
        assert ["".join(pair) for pair in told] == ["inner", "inner", "outer", "outer"]
        own = asyncio.capture_call_graph()  # type: ignore[attr-defined]
        assert own.future is asyncio.current_task()
        end.set_result(None)
        await waiting

    loop.run_until_complete(main())
