"""A helper that waits with a timeout swallows the cancellation if the result comes at that moment.

It prefers to give the result. Whoever has cancelled the task waits for its end in vain: the task
takes the result and goes on to wait for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.testing.corpus.world import pause, settled

REPORT = "python/cpython#86296"
KIND = "cancellation swallowed"

Helper = Callable[[Coroutine[Any, Any, str]], Coroutine[Any, Any, str]]


async def kind_wait(coro: Coroutine[Any, Any, str]) -> str:
    task = asyncio.ensure_future(coro)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        if task.done():
            return task.result()
        task.cancel()
        raise
    return task.result()


async def strict_wait(coro: Coroutine[Any, Any, str]) -> str:
    task = asyncio.ensure_future(coro)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        raise
    return task.result()


async def scenario(wait: Helper) -> None:
    jobs: asyncio.Queue[str] = asyncio.Queue()

    async def work() -> None:
        while True:
            await wait(jobs.get())

    async def produce() -> None:
        await pause(3)
        jobs.put_nowait("job")

    worker = asyncio.create_task(work(), name="worker")
    producer = asyncio.create_task(produce(), name="producer")
    await pause(3)
    worker.cancel()
    await settled(producer, worker)


async def buggy() -> None:
    await scenario(kind_wait)


async def fixed() -> None:
    await scenario(strict_wait)
