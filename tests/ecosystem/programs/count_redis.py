"""Count to ten in Redis.

usage: count_redis.py URL
"""

import asyncio
import sys

import redis.asyncio


async def main(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as database:
        await database.delete("count")
        await asyncio.gather(*(database.incr("count") for _ in range(10)))
        print(int(await database.get("count")))
    print(type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
