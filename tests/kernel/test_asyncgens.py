"""Asynchronous generators that were left half-way."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]


async def numbers(closed: list[str]) -> AsyncGenerator[int]:
    try:
        for number in range(1000):
            yield number
    finally:
        await asyncio.sleep(0)  # more than a plain generator could do
        closed.append("closed")


def test_one_that_is_dropped_half_way_is_closed_by_the_loop(
    loop: asyncio.AbstractEventLoop,
) -> None:
    closed: list[str] = []

    async def main() -> None:
        async for number in numbers(closed):
            if number == 3:
                break
        gc.collect()
        while not closed:
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert closed == ["closed"]


def test_one_that_is_dropped_in_another_thread_is_closed_by_the_loop(
    loop: asyncio.AbstractEventLoop,
) -> None:
    closed: list[str] = []

    async def main() -> None:
        holder = [numbers(closed)]
        await anext(holder[0])
        await asyncio.to_thread(holder.clear)
        while not closed:
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    assert closed == ["closed"]


def test_those_that_are_left_are_closed_at_the_end(loop: asyncio.AbstractEventLoop) -> None:
    closed: list[str] = []
    left = [numbers(closed) for _ in range(3)]

    async def main() -> None:
        for generator in left:
            await anext(generator)

    loop.run_until_complete(main())
    assert closed == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert closed == ["closed"] * 3


def test_one_that_was_finished_is_left_alone(loop: asyncio.AbstractEventLoop) -> None:
    closed: list[str] = []

    async def main() -> int:
        return sum([number async for number in numbers(closed)])

    assert loop.run_until_complete(main()) == sum(range(1000))
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert closed == ["closed"]


def test_one_that_fails_to_close_is_reported_and_the_others_are_closed(
    loop: asyncio.AbstractEventLoop, reports: Reports
) -> None:
    reported = reports(loop)
    closed: list[str] = []

    async def stubborn() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            raise LookupError("lost")

    bad, good = stubborn(), numbers(closed)

    async def main() -> None:
        await anext(bad)
        await anext(good)

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert closed == ["closed"]
    (context,) = reported
    assert "an error occurred during closing of asynchronous generator" in context["message"]
    assert context["asyncgen"] is bad
    assert isinstance(context["exception"], LookupError)


def test_one_that_begins_after_the_shutdown_gives_a_warning(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def main() -> None:
        await loop.shutdown_asyncgens()
        generator = numbers([])
        with pytest.warns(ResourceWarning, match=r"after loop.shutdown_asyncgens\(\)"):
            await anext(generator)
        await generator.aclose()

    loop.run_until_complete(main())


def test_shutting_down_twice_or_with_nothing_to_do_is_fine(
    loop: asyncio.AbstractEventLoop,
) -> None:
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_asyncgens())


def test_the_hooks_that_were_there_are_put_back(loop: asyncio.AbstractEventLoop) -> None:
    def first_iteration(generator: object) -> None: ...

    def finalizer(generator: object) -> None: ...

    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(first_iteration, finalizer)
    try:
        loop.run_until_complete(asyncio.sleep(0))
        assert sys.get_asyncgen_hooks() == (first_iteration, finalizer)
        loop.call_soon(exit)
        with pytest.raises(SystemExit):
            loop.run_forever()
        assert sys.get_asyncgen_hooks() == (first_iteration, finalizer)
    finally:
        sys.set_asyncgen_hooks(*before)


def test_one_that_is_dropped_after_its_loop_was_closed_does_no_harm(
    loop: asyncio.AbstractEventLoop,
) -> None:
    holder: list[AsyncGenerator[int]] = []

    async def plain() -> AsyncGenerator[int]:
        yield 1

    async def main() -> None:
        holder.append(plain())
        await anext(holder[0])

    loop.run_until_complete(main())
    loop.close()
    holder.clear()
    gc.collect()
