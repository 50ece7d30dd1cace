"""asyncpg, whose protocol is compiled, against a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

Run = Callable[..., Any]

# Whether the server is at work on a query that ends in these words, other than this one.
NAPPING = """
    select count(*) from pg_stat_activity
    where query like '%as nap' and state = 'active' and pid <> pg_backend_pid()
"""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def test_rows_go_in_and_come_back_typed(run: Run, postgresql_url: str) -> None:
    async def main() -> None:
        async with connected(postgresql_url) as connection:
            await connection.execute("create temp table pages (id int, title text, links int[])")
            rows = [(n, f"page {n}", [n, n + 1]) for n in range(1000)]
            await connection.copy_records_to_table("pages", records=rows)
            got = await connection.fetch("select * from pages order by id")
            assert [tuple(record) for record in got] == rows
            assert await connection.fetchval("select sum(id) from pages") == sum(range(1000))

    run(main)


def test_a_pool_serves_more_tasks_than_it_has_connections(run: Run, postgresql_url: str) -> None:
    async def main() -> None:
        async with asyncpg.create_pool(postgresql_url, min_size=1, max_size=4) as pool:

            async def square(number: int) -> int:
                result: int = await pool.fetchval("select $1::int * $1::int", number)
                return result

            squares = await asyncio.gather(*(square(number) for number in range(100)))
        assert squares == [number * number for number in range(100)]

    run(main)


def test_a_cursor_reads_a_large_result_inside_a_transaction(run: Run, postgresql_url: str) -> None:
    async def main() -> None:
        async with connected(postgresql_url) as connection, connection.transaction():
            query = "select n from generate_series(1, 20000) n"
            numbers = [record["n"] async for record in connection.cursor(query, prefetch=500)]
        assert numbers == list(range(1, 20_001))

    run(main)


def test_a_transaction_that_fails_leaves_nothing(run: Run, postgresql_url: str) -> None:
    async def main() -> None:
        async with connected(postgresql_url) as connection:
            await connection.execute("create temp table marks (n int primary key)")

            async def insert_twice() -> None:
                async with connection.transaction():
                    await connection.execute("insert into marks values (1)")
                    await connection.execute("insert into marks values (1)")

            with pytest.raises(asyncpg.UniqueViolationError):
                await insert_twice()
            assert await connection.fetchval("select count(*) from marks") == 0

    run(main)


def test_a_query_times_out_or_is_cancelled_and_the_connection_lives(
    run: Run, postgresql_url: str
) -> None:
    async def main() -> None:
        async with connected(postgresql_url) as connection, connected(postgresql_url) as other:
            with pytest.raises(TimeoutError):
                await connection.execute("select pg_sleep(20)", timeout=0.05)
            query = asyncio.create_task(connection.execute("select pg_sleep(20) as nap"))
            while not await other.fetchval(NAPPING):
                await asyncio.sleep(0)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert await connection.fetchval("select 1") == 1

    run(main)


def test_a_notification_reaches_its_listener(run: Run, postgresql_url: str) -> None:
    async def main() -> str:
        async with connected(postgresql_url) as listener, connected(postgresql_url) as speaker:
            heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            await listener.add_listener("news", lambda *about: heard.set_result(about[-1]))
            await speaker.execute("notify news, 'hello'")
            return await heard

    assert run(main) == "hello"
