"""A task that did not get a slot releases the slot that it never had.

From then on there is a slot too many, and the limit does not hold. (In the report it was refused
the slot; here it is cancelled while it waits for it.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.testing.corpus.world import pause, settled

REPORT = "NAFTeam/NAFF#471"
KIND = "semaphore released too often"


class Limited:
    """Work that at most one task may do at a time."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(1)
        self.at_work = self.most = 0

    async def work(self) -> None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await pause(2)
        finally:
            self.at_work -= 1

    async def careless(self) -> None:
        try:
            await self.slots.acquire()
            await self.work()
        finally:
            self.slots.release()

    async def careful(self) -> None:
        async with self.slots:
            await self.work()


async def scenario(limited: Limited, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.create_task(run(), name=f"client {number}") for number in range(3)]
    await pause(2)
    tasks[1].cancel()
    await settled(*tasks)
    assert limited.most == 1


async def buggy() -> None:
    limited = Limited()
    await scenario(limited, limited.careless)


async def fixed() -> None:
    limited = Limited()
    await scenario(limited, limited.careful)
