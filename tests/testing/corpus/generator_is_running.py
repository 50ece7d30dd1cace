"""A player is stopped: its generator is closed while the player's task is inside of it.

`cancel` is only a request. As long as the task has not ended it may stand in the generator, which
then cannot be closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from tests.testing.corpus.world import pause, settled

REPORT = "livekit/agents#2333"
KIND = "generator closed while it runs"


class Player:
    def __init__(self) -> None:
        self.played = 0
        self.frames = self.read()
        self.task = asyncio.create_task(self.play(), name="player")

    async def read(self) -> AsyncGenerator[int, None]:
        for number in range(2):
            await pause()
            yield number

    async def play(self) -> None:
        async for _ in self.frames:
            self.played += 1

    async def stop(self) -> None:
        self.task.cancel()
        await self.frames.aclose()
        await settled(self.task)


class FixedPlayer(Player):
    async def stop(self) -> None:
        self.task.cancel()
        await settled(self.task)
        await self.frames.aclose()


async def scenario(player: Player) -> None:
    await pause(5)
    await player.stop()


async def buggy() -> None:
    await scenario(Player())


async def fixed() -> None:
    await scenario(FixedPlayer())
