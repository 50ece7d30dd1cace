"""A crawler as its author would write it: read URLs, fetch them all, write the links found.

usage: crawl.py URLS OUTPUT
"""

import asyncio
import re
import sys
from urllib.parse import urljoin

import aiofiles
import aiohttp

HREF = re.compile(r'href="(.*?)"')


async def links_of(session: aiohttp.ClientSession, url: str) -> set[str]:
    async with session.get(url) as response:
        response.raise_for_status()
        return {urljoin(url, link) for link in HREF.findall(await response.text())}


async def crawl_one(session: aiohttp.ClientSession, url: str, output: str) -> None:
    try:
        links = await links_of(session, url)
    except aiohttp.ClientError as error:
        print(f"{url}: {type(error).__name__}")
        return
    async with aiofiles.open(output, "a") as file:
        await file.write("".join(f"{url}\t{link}\n" for link in sorted(links)))


async def main(urls: str, output: str) -> None:
    async with aiofiles.open(urls) as file:
        wanted = [line.strip() async for line in file]
    async with aiofiles.open(output, "w") as file:
        await file.write("source_url\tparsed_url\n")
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(crawl_one(session, url, output) for url in wanted))
    print(type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
