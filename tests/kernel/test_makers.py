"""The makers write out what the constructors do: both must fill the same slots, the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

import miniloop
from miniloop.kernel.eager import new_eager_task
from miniloop.kernel.future import Future, new_future
from miniloop.kernel.handle import new_handle
from miniloop.kernel.task import Task, new_task


@pytest.fixture
def loop() -> Iterator[miniloop.EventLoop]:
    loop = miniloop.new_event_loop()
    loop.set_debug(False)
    yield loop
    loop.close()


def slots_of(thing: object) -> dict[str, Any]:
    """Every slot that is filled, with what is comparable of its value."""
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    filled = {name: getattr(thing, name) for name in names if hasattr(thing, name)}
    filled.pop("__weakref__", None)
    for name in ("_context", "_coro", "_send"):  # one each
        if name in filled:
            filled[name] = type(filled[name])
    return filled


def test_future_is_made_as_its_class_makes_it(loop: miniloop.EventLoop) -> None:
    assert slots_of(new_future(loop)) == slots_of(Future(loop=loop))


@pytest.mark.parametrize("name", [None, "a name", 7])
def test_task_is_made_as_its_class_makes_it(loop: miniloop.EventLoop, name: object) -> None:
    async def nothing() -> None:
        pass

    made, built = new_task(loop, nothing(), name, None), Task(nothing(), loop=loop, name=name)
    assert slots_of(made) == slots_of(built)
    loop.run_until_complete(asyncio.gather(made, built))


def test_eager_task_is_made_as_its_class_makes_it(loop: miniloop.EventLoop) -> None:
    async def wait() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        made = new_eager_task(loop, wait(), "a name", None)
        built: Task[None] = Task(wait(), loop=loop, name="a name", eager_start=True)
        assert slots_of(made) == slots_of(built)
        await asyncio.gather(made, built)

    loop.run_until_complete(main())


def test_call_soon_makes_the_handle_that_the_maker_makes(loop: miniloop.EventLoop) -> None:
    context = copy_context()
    soon = loop.call_soon(print, 1, context=context)
    assert slots_of(soon) == slots_of(new_handle(print, (1,), loop, context))
    soon.cancel()
