"""What runs at the same time, and what one after the other: seven ways to fetch three pages.

python3 docs/tour/concurrent_or_not.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

SECONDS = {"slow": 0.15, "quick": 0.05, "middling": 0.1}


async def fetch(page: str) -> str:
    await asyncio.sleep(SECONDS[page])
    return page


async def pages() -> AsyncIterator[str]:  # an asynchronous generator
    for page in SECONDS:
        yield await fetch(page)  # goes on when the next one is asked for, and not before


async def comprehension() -> list[str]:
    return [await fetch(page) for page in SECONDS]


async def generator() -> list[str]:
    return [page async for page in pages()]


async def tasks_too_late() -> list[str]:
    return [await asyncio.create_task(fetch(page)) for page in SECONDS]


async def tasks_first() -> list[str]:
    tasks = [asyncio.create_task(fetch(page)) for page in SECONDS]
    return [await task for task in tasks]


async def gather() -> list[str]:
    return await asyncio.gather(*(fetch(page) for page in SECONDS))


async def group() -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(page)) for page in SECONDS]
    return [task.result() for task in tasks]


async def as_completed() -> list[str]:
    return [await first for first in asyncio.as_completed([fetch(page) for page in SECONDS])]


async def main() -> None:
    ways: list[Callable[[], Coroutine[Any, Any, list[str]]]]
    ways = [comprehension, generator, tasks_too_late, tasks_first, gather, group, as_completed]
    loop = asyncio.get_running_loop()
    for way in ways:
        began = loop.time()
        found = await way()
        print(f"{way.__name__:15} {loop.time() - began:.2f} s  {', '.join(found)}")


asyncio.run(main())
