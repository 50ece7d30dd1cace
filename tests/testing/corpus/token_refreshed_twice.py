"""Each of several requests finds the token expired, and each refreshes it."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "authlib/authlib#266"
KIND = "check, then act"


class Client:
    def __init__(self) -> None:
        self.expired = True
        self.refreshed = 0

    async def refresh(self) -> None:
        await pause()
        self.refreshed += 1
        self.expired = False

    async def request(self) -> None:
        if self.expired:
            await self.refresh()


class FixedClient(Client):
    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def request(self) -> None:
        async with self.lock:
            if self.expired:
                await self.refresh()


async def scenario(client: Client) -> None:
    async def later() -> None:
        await pause(2)
        await client.request()

    await asyncio.gather(client.request(), later())
    assert client.refreshed == 1


async def buggy() -> None:
    await scenario(Client())


async def fixed() -> None:
    await scenario(FixedClient())
