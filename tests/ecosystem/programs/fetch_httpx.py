"""Fetch a URL with httpx, under an ``asyncio.Runner``.

usage: fetch_httpx.py URL
"""

import asyncio
import sys

import httpx


async def main(url: str) -> None:
    async with httpx.AsyncClient() as client:
        print((await client.get(url)).text)
    print(type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(main(sys.argv[1]))
