"""Corners of futures and tasks that random programs have found: see tests/differential."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

Run = Callable[..., Any]


def test_cancelled_gather_ends_although_its_last_child_failed(run: Run) -> None:
    async def fail_when_cancelled() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise KeyError("cleaning up")

    async def main() -> None:
        gathering = asyncio.gather(fail_when_cancelled(), return_exceptions=True)
        await asyncio.sleep(0)
        gathering.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await gathering

    run(main)


def test_failed_future_keeps_its_exception_when_asked_for_a_cancelled_error(run: Run) -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(KeyError("kept"))
        assert isinstance(future._make_cancelled_error(), asyncio.CancelledError)
        with pytest.raises(KeyError, match="kept"):
            await future

    run(main)


class FinishedOnItsWay:
    """Awaits a future, and finishes it before the task sees it."""

    def __init__(self, future: asyncio.Future[str]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, str]:
        step = self._future.__await__()
        awaited = next(step)
        self._future.set_result("there already")
        yield awaited
        return (yield from step)


def test_task_goes_on_when_what_it_awaits_is_done_before_it_can_wait(run: Run) -> None:
    async def main() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(FinishedOnItsWay(future), 5)

    assert run(main) == "there already"


def test_uncancel_takes_the_error_back_from_python_3_13_on(run: Run) -> None:
    async def main() -> bool:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        assert task.uncancel() == 0
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return False
        return True

    assert run(main) is (sys.version_info >= (3, 13))


def test_the_message_of_a_cancellation_goes_to_whoever_is_told_first(run: Run) -> None:
    async def main() -> list[tuple[str, ...]]:
        told: list[tuple[str, ...]] = []

        def ask(task: asyncio.Task[None]) -> None:
            try:
                task.result()
            except asyncio.CancelledError as error:
                told.append(error.args)

        async def wait_for(task: asyncio.Task[None]) -> None:
            try:
                await task
            except asyncio.CancelledError as error:
                told.append(error.args)

        task = asyncio.create_task(asyncio.sleep(3600))
        task.add_done_callback(ask)
        waiting = asyncio.create_task(wait_for(task))
        await asyncio.sleep(0)
        task.cancel("enough")
        await waiting
        return told

    assert run(main) == [("enough",), ()]
