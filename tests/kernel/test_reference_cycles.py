"""Failures leave no garbage: what an exception refers to must not refer back to it.

With the collector off, an object that is part of a cycle stays. So a weak reference that is dead at
the end of a test proves that there was none. (A frame that keeps a future in a variable, and lets
its exception through, makes a cycle of its own. The coroutines here keep nothing.)
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]


class Failure(Exception):
    """An exception that can be referred to weakly."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def raise_failure(seen: list[weakref.ref[Any]]) -> None:
    await asyncio.sleep(0)
    failure = Failure("lost")
    seen.append(weakref.ref(failure))
    try:
        raise failure
    finally:
        del failure


def test_a_result_that_raises_leaves_no_cycle(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    failure = Failure()
    dead = weakref.ref(failure)
    future.set_exception(failure)
    del failure
    try:
        future.result()
    except Failure:
        pass
    del future
    assert dead() is None


def test_a_cancelled_result_leaves_no_cycle(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    future.cancel()
    dead = []
    for ask in (future.result, future.exception):
        try:
            ask()
        except asyncio.CancelledError as exc:
            dead.append(weakref.ref(exc))
    assert [reference() for reference in dead] == [None, None]


def test_an_awaited_failure_leaves_no_cycle(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[weakref.ref[Any]] = []

    def failing_future() -> asyncio.Future[None]:
        future, failure = loop.create_future(), Failure()
        seen.extend([weakref.ref(failure), weakref.ref(future)])
        loop.call_soon(future.set_exception, failure)
        return future

    async def main() -> None:
        try:
            await failing_future()
        except Failure:
            pass

    loop.run_until_complete(main())
    assert [reference() for reference in seen] == [None, None]


def test_an_awaited_failure_that_was_there_already_leaves_no_cycle(
    loop: asyncio.AbstractEventLoop,
) -> None:
    seen: list[weakref.ref[Any]] = []

    def failed_future() -> asyncio.Future[None]:
        future, failure = loop.create_future(), Failure()
        seen.extend([weakref.ref(failure), weakref.ref(future)])
        future.set_exception(failure)
        return future

    async def main() -> None:
        try:
            await failed_future()
        except Failure:
            pass

    loop.run_until_complete(main())
    assert [reference() for reference in seen] == [None, None]


def test_an_awaited_task_that_fails_leaves_no_cycle(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[weakref.ref[Any]] = []

    def failing_task() -> asyncio.Task[None]:
        task = loop.create_task(raise_failure(seen))
        seen.append(weakref.ref(task))
        return task

    async def main() -> None:
        try:
            await failing_task()
        except Failure:
            pass

    loop.run_until_complete(main())
    assert [reference() for reference in seen] == [None, None]


async def by_gather(seen: list[weakref.ref[Any]]) -> None:
    await asyncio.gather(raise_failure(seen))


async def by_subclass(seen: list[weakref.ref[Any]]) -> None:
    class Mine(asyncio.Future[None]):
        pass

    failure, future = Failure(), [Mine()]
    seen.append(weakref.ref(failure))
    asyncio.get_running_loop().call_soon(future[0].set_exception, failure)
    del failure
    await future.pop()


@pytest.mark.parametrize("caught", [True, False])
@pytest.mark.parametrize("foreign", [by_gather, by_subclass])
def test_a_future_of_another_make_that_fails_leaves_no_cycle(
    loop: asyncio.AbstractEventLoop,
    foreign: Callable[[list[weakref.ref[Any]]], Coroutine[Any, Any, None]],
    caught: bool,
) -> None:
    # A `gather`, a call in an executor and a look-up of a name are such futures.
    seen: list[weakref.ref[Any]] = []

    async def catch() -> None:
        try:
            await foreign(seen)
        except Failure:
            pass

    async def main() -> None:
        if caught:
            await catch()
        else:
            task = loop.create_task(foreign(seen))
            seen.append(weakref.ref(task))
            await asyncio.wait([task])
            assert isinstance(task.exception(), Failure)

    loop.run_until_complete(main())
    assert [reference() for reference in seen if reference() is not None] == []
    assert seen


def test_an_awaited_task_that_is_cancelled_leaves_no_cycle(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[weakref.ref[Any]] = []

    def cancelled_task() -> asyncio.Task[None]:
        task = loop.create_task(asyncio.sleep(3600))
        seen.append(weakref.ref(task))
        loop.call_soon(task.cancel)
        return task

    async def main() -> None:
        try:
            await cancelled_task()
        except asyncio.CancelledError as exc:
            seen.append(weakref.ref(exc))

    loop.run_until_complete(main())
    assert [reference() for reference in seen] == [None, None]


def test_a_task_that_nobody_awaits_leaves_no_cycle(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[weakref.ref[Any]] = []
    reported: list[str] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))

    async def main() -> None:
        seen.append(weakref.ref(loop.create_task(raise_failure(seen))))
        for _ in range(3):
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert [reference() for reference in seen] == [None, None]
    assert reported == ["Task exception was never retrieved"]  # at once, without the collector


def test_a_failure_that_ends_the_run_leaves_no_cycle(mini: miniloop.EventLoop) -> None:
    # Ours alone: in asyncio, run_until_complete is such a frame.
    seen: list[weakref.ref[Any]] = []
    try:
        mini.run_until_complete(raise_failure(seen))
    except Failure:
        pass
    assert [reference() for reference in seen] == [None]


def test_a_failure_in_a_callback_leaves_no_cycle(mini: miniloop.EventLoop, turn: Turn) -> None:
    # Ours alone: in asyncio, the frame that runs the handle is such a frame.
    dead: list[weakref.ref[Any]] = []

    def fails() -> None:
        failure = Failure()
        dead.append(weakref.ref(failure))
        try:
            raise failure
        finally:
            del failure

    mini.set_exception_handler(lambda _, context: None)
    dead.append(weakref.ref(mini.call_soon(fails)))
    turn(mini)
    assert [reference() for reference in dead] == [None, None]


def test_a_task_group_that_fails_leaves_no_cycle(loop: asyncio.AbstractEventLoop) -> None:
    # On any loop the group's own frame would be one, but for its care; ours must not add another.
    seen: list[weakref.ref[Any]] = []

    async def main() -> None:
        group = asyncio.TaskGroup()
        try:
            async with group:
                group.create_task(raise_failure(seen))
        except* Failure:
            pass
        del group

    loop.run_until_complete(main())
    gc.collect(0)
    assert [reference() for reference in seen] == [None]


def test_a_task_that_ends_well_is_freed_at_once(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> weakref.ref[Any]:
        task = loop.create_task(asyncio.sleep(0))
        reference = weakref.ref(task)
        await task
        del task
        await asyncio.sleep(0)
        return reference

    assert loop.run_until_complete(main())() is None


def test_a_call_in_an_executor_is_freed_at_once(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> weakref.ref[Any]:
        begin = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            call = loop.run_in_executor(pool, begin.wait)
            begin.set()
            await call
            reference = weakref.ref(call)
            del call
            await loop.run_in_executor(pool, int)  # the thread has let go of the first one, too
        return reference

    assert loop.run_until_complete(main())() is None


def test_a_timer_that_fired_or_was_cancelled_is_freed_at_once(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    fired = weakref.ref(loop.call_later(0, int))
    turn(loop)
    assert fired() is None
    handle = loop.call_later(0, int)
    cancelled = weakref.ref(handle)
    handle.cancel()
    del handle
    turn(loop)
    assert cancelled() is None


def test_busy_work_makes_no_garbage(loop: asyncio.AbstractEventLoop) -> None:
    async def work() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        lock = asyncio.Lock()
        for number in range(20):
            queue.put_nowait(number)
            async with lock, asyncio.timeout(10):
                await queue.get()
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
            await asyncio.wait_for(asyncio.sleep(0), 10)

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(5)))

    loop.run_until_complete(main())
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        before = len(gc.garbage)
        loop.run_until_complete(main())
        gc.collect()
        kept = [type(thing).__name__ for thing in gc.garbage[before:]]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    ours = [name for name in kept if name in ("Task", "Future", "Handle", "TimerHandle")]
    assert ours == []
