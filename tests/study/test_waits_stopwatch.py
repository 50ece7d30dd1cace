"""For how long tasks wait, with a stopwatch on the loop."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import miniloop
from miniloop.study import waits_of
from miniloop.study.stopwatch import INTERVAL, keep_time


class Clock:
    """Time that passes when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def watched_loop() -> tuple[miniloop.EventLoop, Clock]:
    clock = Clock()
    loop = miniloop.EventLoop(clock=clock)
    keep_time(loop)
    return loop, clock


def since(loop: Any, name: str) -> float | None:
    return next(state.since for state in waits_of(loop).tasks if state.name == name)


def test_a_wait_is_as_old_as_the_first_look_at_it() -> None:
    loop, clock = watched_loop()

    async def main() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(event.wait(), name="waits")
        await asyncio.sleep(0)
        assert since(loop, "waits") is None  # nobody has looked
        clock.now += INTERVAL
        begun = clock.now
        for _ in range(500):  # some visits to the kernel
            await asyncio.sleep(0)
        assert since(loop, "waits") == begun
        for _ in range(3):
            clock.now += INTERVAL
            for _ in range(500):
                await asyncio.sleep(0)
        assert since(loop, "waits") == begun
        event.set()
        await task

    loop.run_until_complete(main())
    loop.close()


def test_another_wait_of_the_same_task_begins_anew() -> None:
    loop, clock = watched_loop()

    async def waits(events: list[asyncio.Event]) -> None:
        for event in events:
            await event.wait()

    async def pass_time() -> float:
        for _ in range(3):
            await asyncio.sleep(0)  # what is ready runs up to its wait
        clock.now += INTERVAL
        now = clock.now
        for _ in range(500):
            await asyncio.sleep(0)
        return now

    async def main() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(waits([first, second]), name="waits")
        begun = await pass_time()
        assert since(loop, "waits") == begun
        first.set()
        begun = await pass_time()
        assert since(loop, "waits") == begun
        second.set()
        await task

    loop.run_until_complete(main())
    loop.close()


def test_it_keeps_no_future_alive() -> None:
    loop, clock = watched_loop()

    async def main() -> None:
        future = loop.create_future()
        reference = weakref.ref(future)

        async def wait(future: Any) -> None:
            await future

        task = asyncio.create_task(wait(future))
        await asyncio.sleep(0)
        clock.now += INTERVAL
        for _ in range(500):
            await asyncio.sleep(0)
        future.set_result(None)
        await task
        del future, task
        gc.collect()
        assert reference() is None

    loop.run_until_complete(main())
    loop.close()
