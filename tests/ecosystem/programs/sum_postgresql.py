"""Add numbers up in PostgreSQL.

usage: sum_postgresql.py URL
"""

import asyncio
import sys

import asyncpg


async def main(url: str) -> None:
    async with asyncpg.create_pool(url, min_size=1, max_size=3) as pool:
        sums = [pool.fetchval("select sum(n) from generate_series(1, $1) n", n) for n in (3, 4)]
        print(*await asyncio.gather(*sums))
    print(type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
