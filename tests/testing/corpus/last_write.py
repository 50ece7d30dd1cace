"""At shutdown one listener still changes the data, and another one writes it, in any order."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "home-assistant/core#33358"
KIND = "shutdown race"


class Store:
    def __init__(self) -> None:
        self.data = "old"
        self.written = ""

    async def update(self) -> None:
        await pause()
        self.data = "new"

    async def write(self) -> None:
        await pause(2)
        self.written = self.data

    async def stop(self) -> None:
        await asyncio.gather(self.update(), self.write())


class FixedStore(Store):
    async def stop(self) -> None:
        await self.update()
        await self.write()


async def scenario(store: Store) -> None:
    await store.stop()
    assert store.written == "new"


async def buggy() -> None:
    await scenario(Store())


async def fixed() -> None:
    await scenario(FixedStore())
