"""Two jobs take the same two locks, each in its own order.

The report has locks between processes; it is the same with those of asyncio.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "lkhq/laniakea#63"
KIND = "deadlock by lock order"


async def job(first: asyncio.Lock, second: asyncio.Lock) -> None:
    async with first:
        await pause()
        async with second:
            await pause()


async def buggy() -> None:
    archive, suite = asyncio.Lock(), asyncio.Lock()

    async def later() -> None:
        await pause(4)
        await job(suite, archive)

    await asyncio.gather(job(archive, suite), later())


async def fixed() -> None:
    archive, suite = asyncio.Lock(), asyncio.Lock()

    async def later() -> None:
        await pause(4)
        await job(archive, suite)

    await asyncio.gather(job(archive, suite), later())
