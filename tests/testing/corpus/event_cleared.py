"""An event is cleared after the work that it asked for, and with it what came meanwhile.

The consumer takes what is in the inbox, works, and clears the event. Whatever was announced during
the work is not taken, and no longer announced.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "pipecat-ai/pipecat#3402"
KIND = "event set and cleared before the waiter looks"


class Inbox:
    """Messages, and an event that says that there are some."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.arrived = asyncio.Event()
        self.handled: list[str] = []

    def put(self, message: str) -> None:
        self.messages.append(message)
        self.arrived.set()

    async def handle(self) -> None:
        taken, self.messages = self.messages, []
        await pause()
        self.handled += taken

    async def next(self) -> None:
        await self.arrived.wait()
        await self.handle()
        self.arrived.clear()


class FixedInbox(Inbox):
    async def next(self) -> None:
        await self.arrived.wait()
        self.arrived.clear()
        await self.handle()


async def scenario(inbox: Inbox) -> None:
    async def consume() -> None:
        while len(inbox.handled) < 2:
            await inbox.next()

    async def produce() -> None:
        inbox.put("one")
        await pause(3)
        inbox.put("two")

    await asyncio.gather(produce(), consume())


async def buggy() -> None:
    await scenario(Inbox())


async def fixed() -> None:
    await scenario(FixedInbox())
