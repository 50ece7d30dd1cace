"""Who waits for whom: what the report says of each kind of wait, on each loop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from miniloop.study import waits_of
from tests.study.waits_of_tasks import (
    Lock,
    enter,
    held_by,
    hold_by_hand,
    late_answer,
    settled,
    state_of,
    text_of,
)

Run = Callable[..., Any]


async def hold(*managers: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for manager in managers:
            await stack.enter_async_context(manager)
        await asyncio.Event().wait()


def test_a_lock_is_held_by_who_is_inside_of_its_block_and_not_by_who_waits(run: Run) -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        waits = await settled(hold_by_hand(lock), enter(lock), enter(lock))
        assert held_by(waits, "b") == held_by(waits, "c") == ["a"]
        assert text_of(waits, "b") == "Lock #1 (manager)"
        wait = state_of(waits, "b").wait
        assert wait is not None
        assert str(wait.holders[0].hold.entered).endswith("in hold_by_hand")
        assert wait.holders[0].hold.entered.line == hold_by_hand.__code__.co_firstlineno + 1
        assert not waits.rings

    run(main)


def test_the_holder_stands_at_its_own_line_of_several_blocks(run: Run) -> None:
    async def nested(first: asyncio.Lock, second: asyncio.Lock) -> None:
        with contextlib.suppress(ZeroDivisionError):
            async with first:
                try:
                    async with second:
                        await asyncio.Event().wait()
                finally:
                    pass

    async def main() -> None:
        first, second = asyncio.Lock(), asyncio.Lock()
        waits = await settled(nested(first, second), enter(second), enter(first))
        begin = nested.__code__.co_firstlineno
        for name, line in ("b", begin + 4), ("c", begin + 2):
            wait = state_of(waits, name).wait
            assert wait is not None
            assert [holder.hold.entered.line for holder in wait.holders] == [line]

    run(main)


@contextlib.asynccontextmanager
async def borrowed(lock: Any) -> AsyncIterator[None]:
    async with lock:
        yield


async def produced(lock: Any) -> AsyncIterator[int]:
    async with lock:
        yield 1


async def consume(lock: Any) -> None:
    async for _ in produced(lock):
        await asyncio.Event().wait()


class Guarded:
    """A context manager with a lock inside, as connection pools have it."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self.lock = lock

    async def __aenter__(self) -> None:
        await self.lock.acquire()

    async def __aexit__(self, *exc: object) -> None:
        self.lock.release()


@pytest.mark.parametrize(
    "keep",
    [
        lambda lock: hold(lock),
        lambda lock: hold_by_hand(borrowed(lock)),
        lambda lock: hold(borrowed(lock)),
        consume,
        lambda lock: hold_by_hand(Guarded(lock)),
    ],
    ids=["exit stack", "generator", "generator on a stack", "async for", "class"],
)
def test_a_lock_is_found_behind_what_wraps_it(run: Run, keep: Any) -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        waits = await settled(keep(lock), enter(Guarded(lock)))
        assert held_by(waits, "b") == ["a"]

    run(main)


def test_a_lock_taken_by_acquire_is_said_to_be_so(run: Run) -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        waits = await settled(enter(lock))
        assert held_by(waits, "a") == []
        assert "taken by `acquire()`" in str(waits)
        assert not waits.rings

    run(main)


def test_a_ring_of_two_locks_is_marked_and_who_waits_behind_it(run: Run) -> None:
    async def take(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    async def main() -> None:
        left, right = asyncio.Lock(), asyncio.Lock()
        waits = await settled(take(left, right), take(right, left), enter(left))
        assert [set(ring) for ring in waits.rings] == [{"a", "b"}]
        assert waits.behind == {"c"}
        text = str(waits)
        assert "RING: 'a' -> 'b' -> 'a'" in text
        assert text.count("IN A RING") == 2

    run(main)


def test_a_task_that_takes_its_own_lock_again_is_a_ring_of_one(run: Run) -> None:
    async def twice(lock: asyncio.Lock) -> None:
        async with lock, lock:
            pass

    async def main() -> None:
        waits = await settled(twice(asyncio.Lock()))
        assert waits.rings == (("a",),)
        assert "held by itself" in str(waits)

    run(main)


def test_a_timeout_breaks_a_ring(run: Run) -> None:
    async def twice(lock: asyncio.Lock) -> None:
        async with lock, asyncio.timeout(1000), lock:
            pass

    async def main() -> None:
        waits = await settled(twice(asyncio.Lock()))
        assert waits.rings == ()
        assert "its timeout strikes in 1000 s" in str(waits)

    run(main)


class ScopeOfALibrary:
    """As anyio has it."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...


class TimeoutOfALibrary(ScopeOfALibrary):
    """As async-timeout has it."""

    __slots__ = ("_deadline",)


@pytest.mark.parametrize("kind", [ScopeOfALibrary, TimeoutOfALibrary])
def test_timeouts_of_libraries_break_rings_too(run: Run, kind: type[ScopeOfALibrary]) -> None:
    async def twice(lock: asyncio.Lock, deadline: float) -> None:
        async with lock:
            with kind(deadline):
                async with lock:
                    pass

    async def main() -> None:
        deadline = asyncio.get_running_loop().time() + 1000
        waits = await settled(twice(asyncio.Lock(), deadline), twice(asyncio.Lock(), math.inf))
        assert waits.rings == (("b",),)
        assert state_of(waits, "a").gives_up == deadline

    run(main)


def test_a_semaphore_names_all_who_have_a_slot(run: Run) -> None:
    async def main() -> None:
        slots = asyncio.BoundedSemaphore(2)
        waits = await settled(hold_by_hand(slots), hold_by_hand(slots), enter(slots))
        assert sorted(held_by(waits, "c")) == ["a", "b"]
        assert text_of(waits, "c") == "a slot of 2 of BoundedSemaphore #1 (manager)"
        assert not state_of(waits, "c").needs.free

    run(main)


def test_who_waits_for_a_condition_does_not_hold_its_lock(run: Run) -> None:
    async def listen(condition: asyncio.Condition) -> None:
        async with condition:
            await condition.wait()

    async def main() -> None:
        condition = asyncio.Condition()
        waits = await settled(listen(condition), hold_by_hand(condition), enter(condition))
        assert text_of(waits, "a") == "Condition #1 (condition) to be notified"
        assert held_by(waits, "c") == ["b"]

    run(main)


async def full_queue() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(1)
    queue.put_nowait(1)
    await queue.put(2)


async def unfinished_queue() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    queue.put_nowait(1)
    queue.put_nowait(1)
    queue.get_nowait()
    await queue.join()


async def at_a_barrier() -> None:
    await asyncio.Barrier(3).wait()


async def first_of() -> None:
    tasks = [asyncio.create_task(late_answer(), name=f"x{number}") for number in range(2)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def gathering() -> None:
    await asyncio.gather(late_answer(), late_answer())


async def shielding() -> None:
    inner = asyncio.create_task(late_answer(), name="inner")
    try:
        await asyncio.shield(inner)
    finally:
        inner.cancel()


async def grouping() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(late_answer(), name="child")


async def another_task() -> None:
    other = asyncio.create_task(late_answer(), name="other")
    await other


@pytest.mark.parametrize(
    ("coroutine", "text"),
    [
        (lambda: asyncio.Event().wait(), "Event #"),
        (lambda: asyncio.Queue[int]().get(), "an item from Queue #"),
        (full_queue, "room in Queue #1 (queue), full with 1"),
        (unfinished_queue, "to be worked off: 2 without task_done(), 1 of them still in it"),
        (lambda: asyncio.sleep(1000), "the end of sleep(1000)"),
        (late_answer, "a Future #1 (future) to be finished"),
        (at_a_barrier, "1 of 3 are there"),
        (first_of, "the first of 2 tasks: 'x0', 'x1'"),
        (gathering, "gather of 2 tasks: 'Task-"),
        (shielding, "'inner', by shield"),
        (grouping, "its TaskGroup's 1 task: 'child'"),
        (another_task, "'other'"),
    ],
)
def test_each_kind_of_wait_is_named(run: Run, coroutine: Any, text: str) -> None:
    async def main() -> None:
        assert text in text_of(await settled(coroutine()), "a")

    run(main)


def test_wait_for_is_seen_through_and_its_time_is_told(run: Run) -> None:
    async def main() -> None:
        waits = await settled(asyncio.wait_for(asyncio.Event().wait(), 1000))
        text = str(waits)
        assert "Event #1 to be set" in text
        assert "1000 s" in text
        assert not waits.rings

    run(main)


def test_how_long_a_sleep_has_lasted_is_known_without_a_stopwatch(run: Run) -> None:
    async def main() -> None:
        state = state_of(await settled(asyncio.sleep(1000)), "a")
        assert state.since is not None
        assert 0 <= asyncio.get_running_loop().time() - state.since < 100

    run(main)


def test_tasks_that_do_not_wait_say_so(run: Run) -> None:
    async def main() -> None:
        task = asyncio.create_task(late_answer(), name="new")
        loop = asyncio.get_running_loop()
        assert state_of(waits_of(loop), "new").state == "has not begun"
        await asyncio.sleep(0)
        awaited = task._fut_waiter  # type: ignore[attr-defined]  # the future that it waits for
        awaited.set_result(None)
        assert state_of(waits_of(loop), "new").state == "ready"
        await task
        current = asyncio.current_task()
        assert current is not None
        assert state_of(waits_of(loop), current.get_name()).state == "runs"

    run(main)


def test_the_running_task_holds_its_locks_too(run: Run) -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        async with lock:
            waiter = asyncio.create_task(enter(lock), name="waiter")
            await asyncio.sleep(0)
            waits = waits_of(asyncio.get_running_loop())
            current = asyncio.current_task()
        assert current is not None
        await waiter
        assert held_by(waits, "waiter") == [current.get_name()]

    run(main)


def test_a_lock_of_a_library_is_known_by_its_methods(run: Run) -> None:
    # Its code must be a library's: what the program itself does is shown as it stands there.
    source = inspect.getsource(Lock)
    space: dict[str, Any] = {"asyncio": asyncio, "__name__": "library"}
    exec(compile(source, "/lib/site-packages/library.py", "exec"), space)

    async def main() -> None:
        lock = space["Lock"]()
        waits = await settled(hold_by_hand(lock), enter(lock))
        assert text_of(waits, "b") == "Lock #1 (manager)"
        assert held_by(waits, "b") == ["a"]
        assert state_of(waits, "b").places[-1].function == "enter"

    run(main)


class Unbound:
    """A proxy that stands for nothing yet, as those of web frameworks do outside of a request."""

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("working outside of the request context")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("working outside of the request context")


def test_objects_that_do_not_want_to_be_looked_at_do_no_harm(run: Run) -> None:
    async def wait(lock: asyncio.Lock, proxy: Any) -> None:
        async with lock:
            pass
        del proxy

    async def main() -> None:
        lock = asyncio.Lock()
        waits = await settled(hold_by_hand(lock), wait(lock, Unbound()))
        assert held_by(waits, "b") == ["a"]

    run(main)
