"""A worker that is cancelled while it sets itself up never says that it is done.

The flag is put down before the `try` whose `finally` puts it up again. Whoever leaves the worker's
block waits for the flag, for ever.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "chrisguidry/docket#263"
KIND = "cancelled between two steps"
OPTIONS = {"cancel": "worker"}


class Worker:
    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.done.set()

    async def run(self) -> None:
        self.done.clear()
        await self.set_up()
        try:
            await self.work()
        finally:
            self.done.set()

    async def set_up(self) -> None:
        await pause()

    async def work(self) -> None:
        await pause(2)


class FixedWorker(Worker):
    async def run(self) -> None:
        self.done.clear()
        try:
            await self.set_up()
            await self.work()
        finally:
            self.done.set()


async def scenario(worker: Worker) -> None:
    task = asyncio.create_task(worker.run(), name="worker")
    await asyncio.wait({task})
    await worker.done.wait()


async def buggy() -> None:
    await scenario(Worker())


async def fixed() -> None:
    await scenario(FixedWorker())
