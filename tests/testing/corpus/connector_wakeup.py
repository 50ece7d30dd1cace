"""The one wake-up for a free connection goes to a client that has just timed out.

It does not need the connection any more, and does not pass the wake-up on: the client behind it
waits for ever, although a connection is free.
"""

from __future__ import annotations

import asyncio
from collections import deque

from tests.testing.corpus.world import pause, settled

REPORT = "aio-libs/aiohttp#9670"
KIND = "wake-up lost by cancelling"


class Connector:
    """Lends one connection."""

    def __init__(self) -> None:
        self.used = False
        self.waiters: deque[asyncio.Future[None]] = deque()

    async def connect(self) -> None:
        while self.used:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self.gave_up(waiter)
                raise
        self.used = True

    def gave_up(self, waiter: asyncio.Future[None]) -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)

    def release(self) -> None:
        self.used = False
        self.wake_next()

    def wake_next(self) -> None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class FixedConnector(Connector):
    def gave_up(self, waiter: asyncio.Future[None]) -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)
        elif not self.used:
            self.wake_next()


async def scenario(connector: Connector) -> None:
    async def request() -> None:
        await connector.connect()
        try:
            await pause()
        finally:
            connector.release()

    first = asyncio.create_task(request(), name="first")
    impatient = asyncio.create_task(request(), name="impatient")
    patient = asyncio.create_task(request(), name="patient")
    await pause(4)
    impatient.cancel()
    await settled(first, impatient, patient)


async def buggy() -> None:
    await scenario(Connector())


async def fixed() -> None:
    await scenario(FixedConnector())
