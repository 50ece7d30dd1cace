"""A client that was woken for a free connection takes it without looking again.

Between the wake-up and its turn another client may have come and taken the connection. Then there
are more connections than the limit allows.
"""

from __future__ import annotations

import asyncio
from collections import deque

from tests.testing.corpus.world import pause

REPORT = "aio-libs/aiohttp#4936"
KIND = "check, then act"


class Connector:
    """Lends `limit` connections."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = self.most = 0
        self.waiters: deque[asyncio.Future[None]] = deque()

    async def connect(self) -> None:
        if self.used >= self.limit:
            await self.wait()
        self.take()

    async def wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        await waiter

    def take(self) -> None:
        self.used += 1
        self.most = max(self.most, self.used)

    def release(self) -> None:
        self.used -= 1
        if self.waiters:
            self.waiters.popleft().set_result(None)


class FixedConnector(Connector):
    async def connect(self) -> None:
        while self.used >= self.limit:
            await self.wait()
        self.take()


async def scenario(connector: Connector) -> None:
    async def request() -> None:
        await connector.connect()
        await pause()
        connector.release()

    await asyncio.gather(*(request() for _ in range(3)))
    assert connector.most <= connector.limit


async def buggy() -> None:
    await scenario(Connector(1))


async def fixed() -> None:
    await scenario(FixedConnector(1))
