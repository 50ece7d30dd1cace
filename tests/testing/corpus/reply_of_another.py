"""A command is cancelled after it was sent; the next one on the connection reads its reply.

Replies come in the order of the commands, and nothing else says which belongs to which. From then
on each command gets the answer of the one before.
"""

from __future__ import annotations

import asyncio
from collections import deque

from tests.testing.corpus.world import pause, settled

REPORT = "redis/redis-py#2665"
KIND = "cancelled between two steps"
OPTIONS = {"cancel": "cancelled"}


class Client:
    """One connection to a server that answers each key with itself."""

    def __init__(self) -> None:
        self.unread: deque[str] = deque()

    async def get(self, key: str) -> str:
        await pause()
        self.unread.append(key)  # the server has it, and will answer
        await pause()
        return self.unread.popleft()


class FixedClient(Client):
    async def get(self, key: str) -> str:
        try:
            return await super().get(key)
        except BaseException:
            self.unread = deque()  # another connection
            raise


async def scenario(client: Client) -> None:
    task = asyncio.create_task(client.get("one"), name="cancelled")
    await settled(task)
    assert await client.get("two") == "two"


async def buggy() -> None:
    await scenario(Client())


async def fixed() -> None:
    await scenario(FixedClient())
