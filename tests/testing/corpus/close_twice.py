"""Two tasks close a connection at the same time, and both go all the way.

The flag that says "closed" is put up after the farewell to the other side, during which the second
one looks at it.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import Connection, pause

REPORT = "mosquito/aio-pika#203"
KIND = "closed twice"


class Channel:
    def __init__(self) -> None:
        self.connection = Connection()
        self.is_closed = False

    async def close(self) -> None:
        if self.is_closed:
            return
        await self.say_goodbye()
        self.is_closed = True
        self.connection.close()

    async def say_goodbye(self) -> None:
        await pause()


class FixedChannel(Channel):
    async def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        await self.say_goodbye()
        self.connection.close()


async def scenario(channel: Channel) -> None:
    async def use() -> None:
        await pause()
        await channel.close()

    async def stop() -> None:
        await pause(3)
        await channel.close()

    await asyncio.gather(use(), stop())
    assert channel.connection.closed == 1


async def buggy() -> None:
    await scenario(Channel())


async def fixed() -> None:
    await scenario(FixedChannel())
