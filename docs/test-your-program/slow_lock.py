"""A lock is held over a slow await, and whoever waits for it gives up too early."""

import asyncio

from miniloop import testing


class Cache:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.values: dict[str, str] = {}

    async def fetch(self, key: str) -> str:
        await asyncio.sleep(0.4)  # a server far away
        return key.upper()

    async def get(self, key: str) -> str:
        async with self.lock:  # held while we fetch: one slow key makes all others wait
            if key not in self.values:
                self.values[key] = await self.fetch(key)
            return self.values[key]


class CorrectCache(Cache):
    def __init__(self) -> None:
        super().__init__()
        self.fetching: dict[str, asyncio.Task[str]] = {}

    async def get(self, key: str) -> str:
        if key not in self.fetching:  # no await between looking and putting: no lock is needed
            self.fetching[key] = asyncio.create_task(self.fetch(key))
        return await asyncio.shield(self.fetching[key])


async def use(cache: Cache) -> None:
    async def reader(key: str, after: float) -> None:
        await asyncio.sleep(after)
        async with asyncio.timeout(0.7):
            assert await cache.get(key) == key.upper()

    await asyncio.gather(reader("a", 0.0), reader("b", 0.2), reader("a", 0.5))


async def test_buggy() -> None:
    await use(Cache())


async def test_fixed() -> None:
    await use(CorrectCache())


if __name__ == "__main__":
    print(testing.explore(test_fixed, lateness=0.25))
    testing.explore(test_buggy, lateness=0.25)
