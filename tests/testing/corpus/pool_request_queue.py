"""A request that is cancelled between two steps stays in the queue of the pool for ever.

It has been queued, and has not come to the `try` that takes it off. When its turn comes it is given
the connection, which it never gives back.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause, settled

REPORT = "encode/httpcore#830"
KIND = "cancelled between two steps"
OPTIONS = {"cancel": "first"}


class Pool:
    """One connection; requests are served in their order."""

    def __init__(self) -> None:
        self.queue: list[asyncio.Event] = []
        self.lock = asyncio.Lock()

    async def request(self) -> None:
        turn = asyncio.Event()
        self.queue.append(turn)
        await self.close_expired()
        self.assign()
        try:
            await turn.wait()
            await pause()
        finally:
            self.queue.remove(turn)
            self.assign()

    async def close_expired(self) -> None:
        async with self.lock:
            await pause()

    def assign(self) -> None:
        if self.queue:
            self.queue[0].set()


class FixedPool(Pool):
    async def request(self) -> None:
        turn = asyncio.Event()
        self.queue.append(turn)
        try:
            await self.close_expired()
            self.assign()
            await turn.wait()
            await pause()
        finally:
            self.queue.remove(turn)
            self.assign()


async def scenario(pool: Pool) -> None:
    first = asyncio.create_task(pool.request(), name="first")
    await settled(first)
    await pool.request()


async def buggy() -> None:
    await scenario(Pool())


async def fixed() -> None:
    await scenario(FixedPool())
