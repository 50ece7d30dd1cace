"""Calls that miss the cache at the same time are all made."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "aio-libs/aiocache#1041"
KIND = "check-then-act on a cache"


class Cached:
    def __init__(self) -> None:
        self.cache: dict[str, int] = {}
        self.calls = 0

    async def compute(self) -> int:
        self.calls += 1
        await pause()
        return 42

    async def get(self, key: str) -> int:
        if key not in self.cache:
            self.cache[key] = await self.compute()
        return self.cache[key]


class FixedCached(Cached):
    def __init__(self) -> None:
        super().__init__()
        self.under_way: dict[str, asyncio.Task[int]] = {}

    async def get(self, key: str) -> int:
        if key not in self.under_way:
            self.under_way[key] = asyncio.create_task(self.compute())
        return await asyncio.shield(self.under_way[key])


async def scenario(cached: Cached) -> None:
    async def later() -> None:
        await pause(2)
        await cached.get("key")

    await asyncio.gather(cached.get("key"), later())
    assert cached.calls == 1


async def buggy() -> None:
    await scenario(Cached())


async def fixed() -> None:
    await scenario(FixedCached())
