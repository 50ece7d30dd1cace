"""The heartbeat and a failed call both reconnect, and one of the two connections is forgotten."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import Connection, pause

REPORT = "NorthlandPositronics/Cogtrix#427"
KIND = "connection overwritten"


class Client:
    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.connection: Connection | None = None

    async def connect(self) -> Connection:
        await pause()
        self.made.append(Connection())
        return self.made[-1]

    async def reconnect(self) -> None:
        old, self.connection = self.connection, None
        if old is not None:
            old.close()
        self.connection = await self.connect()


class FixedClient(Client):
    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def reconnect(self) -> None:
        async with self.lock:
            await super().reconnect()


async def scenario(client: Client) -> None:
    async def heartbeat() -> None:
        await pause(3)
        await client.reconnect()

    await asyncio.gather(client.reconnect(), heartbeat())
    assert sum(not connection.closed for connection in client.made) == 1


async def buggy() -> None:
    await scenario(Client())


async def fixed() -> None:
    await scenario(FixedClient())
