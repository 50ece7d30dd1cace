"""A timeout strikes while a connection is on its way out of the pool, and the connection is lost.

`acquire` gets the connection in a task of its own. The timeout cancels that task, in the middle of
its second step, or after it has returned: nobody puts the connection back.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import MOMENT, Connection, others, pause

REPORT = "MagicStack/asyncpg#467"
KIND = "a timeout after success"


class Pool:
    """One connection, which is reset each time before it is lent."""

    def __init__(self) -> None:
        self.free: asyncio.Queue[Connection] = asyncio.Queue()
        self.free.put_nowait(Connection())

    async def take(self) -> Connection:
        connection = await self.free.get()
        await pause()  # reset it
        return connection

    async def acquire(self, timeout: float) -> Connection:
        taking = asyncio.create_task(self.take())
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(taking)
        except TimeoutError:
            self.give_up(taking)
            raise

    def give_up(self, taking: asyncio.Task[Connection]) -> None:
        taking.cancel()

    def release(self, connection: Connection) -> None:
        self.free.put_nowait(connection)


class FixedPool(Pool):
    async def take(self) -> Connection:
        connection = await self.free.get()
        try:
            await pause()
        except BaseException:
            self.release(connection)
            raise
        return connection

    def give_up(self, taking: asyncio.Task[Connection]) -> None:
        if not taking.cancel():
            self.release(taking.result())


async def scenario(pool: Pool) -> None:
    async def use(seconds: float) -> None:
        try:
            connection = await pool.acquire(1.5 * MOMENT)
        except TimeoutError:
            return
        await asyncio.sleep(seconds)
        pool.release(connection)

    await asyncio.gather(use(MOMENT), use(0))
    await others()
    assert pool.free.qsize() == 1, "the connection is lost"


async def buggy() -> None:
    await scenario(Pool())


async def fixed() -> None:
    await scenario(FixedPool())
