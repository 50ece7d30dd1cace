"""What a task factory is told, as each version of CPython has it, and who makes the tasks else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest

import miniloop
from miniloop.kernel.debug import DebugTask

NAMED = sys.version_info >= (3, 14)  # the factory is told the name

# Before, `create_task` of asyncio took a name and a context and nothing else.
KNOWS_MORE = sys.version_info >= (3, 13, 4)


async def nothing() -> None:
    """A coroutine to make a task of."""


@pytest.fixture
def told(loop: asyncio.AbstractEventLoop) -> list[dict[str, Any]]:
    """What the factory of the loop was told, call by call."""
    calls: list[dict[str, Any]] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        calls.append(dict(kwargs))
        kwargs.pop("colour", None)
        kwargs.pop("eager_start", None)
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    return calls


def create(loop: asyncio.AbstractEventLoop, **kwargs: Any) -> asyncio.Task[None]:
    make: Callable[..., asyncio.Task[None]] = loop.create_task
    task = make(nothing(), **kwargs)
    loop.run_until_complete(task)
    return task


def test_a_factory_is_told_the_context(
    loop: asyncio.AbstractEventLoop, told: list[dict[str, Any]]
) -> None:
    context = copy_context()
    create(loop, context=context)
    assert told == [{"context": context}]


def test_a_name_reaches_the_task(
    loop: asyncio.AbstractEventLoop, told: list[dict[str, Any]]
) -> None:
    assert create(loop, name="a name").get_name() == "a name"
    assert told == [{"name": "a name"} if NAMED else {}]


@pytest.mark.parametrize("more", [{"eager_start": True}, {"eager_start": False}, {"colour": "red"}])
def test_a_factory_is_told_whatever_else_was_said(
    loop: asyncio.AbstractEventLoop, told: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    if not KNOWS_MORE and not isinstance(loop, miniloop.EventLoop):
        pytest.skip("asyncio's own loop takes no more")
    create(loop, name="a name", **more)
    assert told == [{"name": "a name", **more} if NAMED else more]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "factory",
    [None, miniloop.eager_task_factory, getattr(asyncio, "eager_task_factory", None)],
    ids=["no factory", "ours", "asyncio's"],
)
@pytest.mark.parametrize("eager", [None, False, True])
def test_what_was_said_of_eagerness_goes_before_the_factory(
    mini: miniloop.EventLoop, debug: bool, factory: Any, eager: bool | None
) -> None:
    mini.set_debug(debug)
    mini.set_task_factory(factory)

    async def main() -> None:
        task = mini.create_task(nothing(), eager_start=eager)
        assert task.done() is bool(eager)  # None is no, as for asyncio's
        assert type(task) is (DebugTask if debug else miniloop.Task)
        await task

    mini.run_until_complete(main())


def test_our_eager_factory_can_be_told_not_to_be(mini: miniloop.EventLoop) -> None:
    async def main() -> None:
        task = miniloop.eager_task_factory(mini, nothing(), eager_start=False)
        assert not task.done()
        await task

    mini.run_until_complete(main())
