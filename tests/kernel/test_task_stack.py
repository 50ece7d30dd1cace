"""Where a task stands: `get_stack` and `print_stack`."""

from __future__ import annotations

import asyncio
import io
import types
from collections.abc import Callable, Generator
from typing import Any

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]


async def outer() -> None:
    await inner()


async def inner() -> None:
    await asyncio.get_running_loop().create_future()


async def fail_outside() -> None:
    await asyncio.sleep(0)
    await fail_inside()


async def fail_inside() -> None:
    raise LookupError("lost")


def names(task: asyncio.Task[Any], limit: int | None = None) -> list[str]:
    return [frame.f_code.co_name for frame in task.get_stack(limit=limit)]


def printed(task: asyncio.Task[Any], limit: int | None = None) -> str:
    file = io.StringIO()
    task.print_stack(limit=limit, file=file)
    return file.getvalue()


@pytest.fixture
def suspended(loop: asyncio.AbstractEventLoop, turn: Turn) -> Generator[asyncio.Task[None]]:
    task = loop.create_task(outer())
    turn(loop)
    yield task
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))


@pytest.fixture
def failed(loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
    task = loop.create_task(fail_outside())
    loop.run_until_complete(asyncio.wait([task]))
    task.exception()
    return task


def test_a_suspended_task_shows_its_outermost_frame(suspended: asyncio.Task[None]) -> None:
    assert names(suspended) == ["outer"]


def test_a_failed_task_shows_its_traceback(failed: asyncio.Task[None]) -> None:
    assert names(failed) == ["fail_outside", "fail_inside"]


def test_the_limit_keeps_the_outermost_frames_of_a_traceback(failed: asyncio.Task[None]) -> None:
    assert names(failed, limit=1) == ["fail_outside"]


def test_a_new_task_has_a_frame_too(loop: asyncio.AbstractEventLoop) -> None:
    task = loop.create_task(fail_inside())
    assert names(task) == ["fail_inside"]
    loop.run_until_complete(asyncio.wait([task]))
    task.exception()


def test_finished_and_cancelled_tasks_have_no_stack(loop: asyncio.AbstractEventLoop) -> None:
    done, cancelled = loop.create_task(asyncio.sleep(0)), loop.create_task(asyncio.sleep(1))
    cancelled.cancel()
    loop.run_until_complete(asyncio.wait([done, cancelled]))
    assert done.get_stack() == []
    assert cancelled.get_stack() == []
    assert printed(done).startswith("No stack for <Task finished")
    assert printed(cancelled).startswith("No stack for <Task cancelled")


def test_the_stack_of_the_running_task_goes_down_to_the_program(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def look() -> tuple[list[str], list[str]]:
        this = asyncio.current_task()
        assert this is not None
        return names(this), names(this, limit=1)

    everything, newest = loop.run_until_complete(look())
    assert everything[-1] == "look"
    assert "test_the_stack_of_the_running_task_goes_down_to_the_program" in everything
    assert newest == ["look"]


def test_a_generator_that_is_run_as_a_coroutine_has_a_stack(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    @types.coroutine
    def old_style() -> Generator[Any, Any, None]:
        yield from loop.create_future()

    async def wrapper() -> None:
        await old_style()

    task = loop.create_task(wrapper())
    turn(loop)
    assert names(task) == ["wrapper"]
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))


def test_printing_a_suspended_task(suspended: asyncio.Task[None]) -> None:
    first = outer.__code__.co_firstlineno
    assert printed(suspended) == (
        f"Stack for {suspended!r} (most recent call last):\n"
        f'  File "{__file__}", line {first + 1}, in outer\n'
        "    await inner()\n"
    )


def test_printing_a_failed_task(failed: asyncio.Task[None]) -> None:
    outside = fail_outside.__code__.co_firstlineno + 2
    inside = fail_inside.__code__.co_firstlineno + 1
    assert printed(failed) == (
        f"Traceback for {failed!r} (most recent call last):\n"
        f'  File "{__file__}", line {outside}, in fail_outside\n'
        "    await fail_inside()\n"
        f'  File "{__file__}", line {inside}, in fail_inside\n'
        '    raise LookupError("lost")\n'
        "LookupError: lost\n"
    )


def test_printing_goes_to_standard_error_by_default(
    mini: miniloop.EventLoop, capsys: pytest.CaptureFixture[str]
) -> None:
    # Ours alone: asyncio's first line goes to standard output, and the others to standard error.
    task = mini.create_task(asyncio.sleep(0))
    task.print_stack()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Stack for <Task pending")
    assert "in sleep" in captured.err
    mini.run_until_complete(task)
