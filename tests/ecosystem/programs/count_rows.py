"""Count rows with aiosqlite, on a loop made and closed by hand.

usage: count_rows.py DATABASE
"""

import asyncio
import sys

import aiosqlite


async def main(path: str) -> None:
    async with aiosqlite.connect(path) as database:
        await database.execute("create table numbers (n int)")
        await database.executemany("insert into numbers values (?)", [(n,) for n in range(10)])
        async with database.execute("select count(*) from numbers") as cursor:
            print((await cursor.fetchone())[0])
    print(type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main(sys.argv[1]))
    finally:
        loop.close()
