"""aiosqlite: a thread per connection that answers through ``call_soon_threadsafe``."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

Run = Callable[..., Any]


def test_rows_written_by_many_tasks_are_all_there(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pages.db"

    async def main() -> None:
        async with aiosqlite.connect(path) as database:
            await database.execute("create table links (page int, link int)")

            async def insert(page: int) -> None:
                rows = [(page, link) for link in range(10)]
                # Closed where it was opened: a cursor that the collector closes, in this thread,
                # may meet the database's thread at work on the same statement.
                async with database.executemany("insert into links values (?, ?)", rows):
                    pass

            await asyncio.gather(*(insert(page) for page in range(50)))
            await database.commit()
            async with database.execute("select count(*), sum(page) from links") as cursor:
                assert await cursor.fetchone() == (500, sum(range(50)) * 10)

    run(main)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("select count(*) from links").fetchone() == (500,)


def test_a_cursor_is_read_row_by_row_by_two_connections(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "numbers.db"

    async def read() -> list[int]:
        async with (
            aiosqlite.connect(path) as database,
            database.execute("select n from numbers order by n") as cursor,
        ):
            return [row[0] async for row in cursor]

    async def main() -> None:
        async with aiosqlite.connect(path) as database:
            await database.execute("create table numbers (n int)")
            rows = [(n,) for n in range(1000)]
            await database.executemany("insert into numbers values (?)", rows)
            await database.commit()
        assert await asyncio.gather(read(), read()) == [list(range(1000))] * 2

    run(main)


def test_an_error_of_the_database_reaches_the_coroutine(run: Run) -> None:
    async def main() -> None:
        async with aiosqlite.connect(":memory:") as database:
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                await database.execute("select * from nowhere")

    run(main)
