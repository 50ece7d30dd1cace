"""The crawler that many would write: `aiohttp.ClientSession`, `aiofiles`, `asyncio.gather`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiofiles
import aiohttp

from .links import find_links

__all__ = ["crawl"]


async def crawl(urls: Path, found: Path, concurrency: int) -> int:
    """Fetch every URL of the list and write the links found; returns how many pages there were."""
    limit = asyncio.Semaphore(concurrency)
    # aiofiles writes in threads, and two that write to one text file at once may lose lines of it.
    # The check of the links showed it: now and then a hundred of 17,000 were missing.
    one_at_a_time = asyncio.Lock()
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        aiofiles.open(found, "a", encoding="utf-8") as output,
    ):
        await output.write("source_url\tparsed_url\n")

        async def one(url: str) -> int:
            async with limit, session.get(url) as response:
                response.raise_for_status()
                text = await response.text()
                links = find_links(text, str(response.url))
                async with one_at_a_time:
                    await output.write("".join(f"{url}\t{link}\n" for link in links))
            return 1

        async with aiofiles.open(urls, encoding="utf-8") as listed:
            lines = [line.strip() async for line in listed]
        pages = await asyncio.gather(
            *(one(line) for line in lines if line and not line.startswith("#"))
        )
    return sum(pages)
