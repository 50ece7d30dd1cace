"""A connection is handed to a client that is being cancelled, and nobody has it any more.

The pool puts the connection into the future of the client that waits longest. If that client is
cancelled before it runs, it leaves with the CancelledError, and the connection stays in the future.
"""

from __future__ import annotations

import asyncio
from collections import deque

from tests.testing.corpus.world import Connection, pause, settled

REPORT = "psycopg/psycopg#509"
KIND = "connection lost by cancelling"


class Pool:
    """One connection, handed from client to client."""

    def __init__(self) -> None:
        self.idle = [Connection()]
        self.waiting: deque[asyncio.Future[Connection]] = deque()

    async def get(self) -> Connection:
        if self.idle:
            return self.idle.pop()
        place = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        return await self.wait(place)

    async def wait(self, place: asyncio.Future[Connection]) -> Connection:
        return await place

    def put(self, connection: Connection) -> None:
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return
        self.idle.append(connection)


class FixedPool(Pool):
    async def wait(self, place: asyncio.Future[Connection]) -> Connection:
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.put(place.result())
            raise


async def scenario(pool: Pool) -> None:
    async def use() -> None:
        connection = await pool.get()
        try:
            await pause(2)
        finally:
            pool.put(connection)

    holder = asyncio.create_task(use(), name="holder")
    victim = asyncio.create_task(use(), name="victim")
    await pause()
    victim.cancel()
    await settled(holder, victim)
    await use()


async def buggy() -> None:
    await scenario(Pool())


async def fixed() -> None:
    await scenario(FixedPool())
