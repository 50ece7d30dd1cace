"""A server sends to each of its clients, and one of them leaves during a send.

The table of clients changes while it is being gone through: the broadcast fails, and the clients
behind hear nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.testing.corpus.world import pause

REPORT = "aio-libs/sockjs#218"
KIND = "iterating while it changes"


class Server:
    def __init__(self) -> None:
        self.clients: dict[str, list[str]] = {"a": [], "b": [], "c": []}

    async def broadcast(self, text: str) -> None:
        for client in self.receivers():
            await pause()
            if client in self.clients:
                self.clients[client].append(text)

    def receivers(self) -> Iterable[str]:
        return self.clients

    async def leave(self, client: str) -> None:
        await pause(4)
        del self.clients[client]


class FixedServer(Server):
    def receivers(self) -> Iterable[str]:
        return list(self.clients)


async def scenario(server: Server) -> None:
    await asyncio.gather(server.broadcast("hello"), server.leave("b"))
    assert server.clients == {"a": ["hello"], "c": ["hello"]}


async def buggy() -> None:
    await scenario(Server())


async def fixed() -> None:
    await scenario(FixedServer())
