"""A writer is cancelled between its write and the commit, and leaves the transaction open.

The next one finds the database locked.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause, settled

REPORT = "jaylfc/taOS#2771"
KIND = "cancelled in a two-step write"
OPTIONS = {"cancel": "writer"}


class Database:
    def __init__(self) -> None:
        self.uncommitted: list[str] = []
        self.rows: list[str] = []

    async def write(self, row: str) -> None:
        if self.uncommitted:
            raise RuntimeError("database is locked")
        self.uncommitted.append(row)
        await pause()

    async def commit(self) -> None:
        await pause()
        self.rows += self.uncommitted
        self.uncommitted.clear()

    def roll_back(self) -> None:
        self.uncommitted.clear()


async def save(database: Database, row: str) -> None:
    await database.write(row)
    await database.commit()


async def careful_save(database: Database, row: str) -> None:
    try:
        await save(database, row)
    except BaseException:
        database.roll_back()
        raise


async def buggy() -> None:
    database = Database()
    await settled(asyncio.create_task(save(database, "one"), name="writer"))
    await save(database, "two")
    assert "two" in database.rows


async def fixed() -> None:
    database = Database()
    await settled(asyncio.create_task(careful_save(database, "one"), name="writer"))
    await careful_save(database, "two")
    assert "two" in database.rows
