"""Two requests refresh the token at once, and the one that is stored last is not the valid one.

Each refresh makes the token before it invalid. The answers may arrive in another order than that in
which the server has made them.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "cdnninja/yoto_api#224"
KIND = "lost update across an await"


class Service:
    """The newest token is the valid one."""

    valid = 0

    async def refresh(self) -> int:
        await pause()
        self.valid += 1
        token = self.valid
        await pause()
        return token


class Client:
    def __init__(self, service: Service) -> None:
        self.service = service
        self.token = 0

    async def refresh(self) -> None:
        self.token = await self.service.refresh()


class FixedClient(Client):
    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.lock = asyncio.Lock()

    async def refresh(self) -> None:
        async with self.lock:
            await super().refresh()


async def scenario(client: Client) -> None:
    await asyncio.gather(client.refresh(), client.refresh())
    assert client.token == client.service.valid


async def buggy() -> None:
    await scenario(Client(Service()))


async def fixed() -> None:
    await scenario(FixedClient(Service()))
