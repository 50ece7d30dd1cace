"""A queue is closed while somebody waits for it to be worked off, and never wakes him.

What was left in it is thrown away, but still counted as unfinished.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause, settled

REPORT = "aio-libs/janus#294"
KIND = "queue join without task_done"


class Jobs:
    """A queue with a worker."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.worker = asyncio.create_task(self.work(), name="worker")

    async def work(self) -> None:
        while True:
            await self.queue.get()
            await pause()
            self.queue.task_done()

    async def close(self) -> None:
        self.worker.cancel()
        await settled(self.worker)
        while not self.queue.empty():
            self.queue.get_nowait()


class FixedJobs(Jobs):
    async def work(self) -> None:
        while True:
            await self.queue.get()
            try:
                await pause()
            finally:
                self.queue.task_done()

    async def close(self) -> None:
        self.worker.cancel()
        await settled(self.worker)
        while not self.queue.empty():
            self.queue.get_nowait()
            self.queue.task_done()


async def scenario(jobs: Jobs) -> None:
    for name in "one", "two":
        jobs.queue.put_nowait(name)

    async def stop() -> None:
        await pause(4)
        await jobs.close()

    await asyncio.gather(jobs.queue.join(), stop())


async def buggy() -> None:
    await scenario(Jobs())


async def fixed() -> None:
    await scenario(FixedJobs())
