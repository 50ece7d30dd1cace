"""What a crawl's store costs by itself: pages are claimed and committed, and nothing is fetched.

A site is made up: each page has 20 links, of which most are known. Redis is asked at the URL that
the variable ``CRAWLER_REDIS`` has (a server that may be filled), and left out without it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.catalogue import benchmark
from benchmarks.job import Job, Shape, WorkNotDoneError

if TYPE_CHECKING:
    from crawler.frontier import Store

KNOWN = [Shape(count=number) for number in (1_000, 100_000)]
LINKS = 20
HOSTS = 200
BATCH = 64


def page_url(number: int) -> str:
    """The URL of a page that is made up."""
    return f"http://host-{number % HOSTS}.example/a/path/as/they/are?page={number}"


async def crawled(job: Job, store: Store) -> int:
    """Claim and commit ``job.n`` pages in a store that knows ``job.shape.count`` to begin with."""
    from crawler.frontier.store import Done

    begin = job.shape.count
    urls = [page_url(number) for number in range(begin)]
    for start in range(0, begin, 1000):
        await store.add([(url, url) for url in urls[start : start + 1000]])
    worker = await store.join()
    known, done = begin, 0
    with job.timed():
        while done < job.n:
            pages = (await store.claim(worker, min(BATCH, job.n - done))).pages
            if not pages:
                raise WorkNotDoneError(f"nothing is left after {done} pages")
            batch = []
            for page in pages:
                old = [page_url((done * 7 + place * 13) % known) for place in range(LINKS - 1)]
                batch.append(Done(page.url, [*old, page_url(known)]))
                known += 1
                done += 1
            await store.commit(worker, batch, done, {"pages": len(batch)})
    return done


@benchmark(
    "growth/store",
    counts="page",
    shapes=KNOWN,
    step=BATCH,
    slow=True,
    program="memory",
    requires=("can_ada",),
)
async def in_memory(job: Job) -> int:
    """Claiming and committing pages of 20 links, with so many URLs known."""
    from crawler.frontier import MemoryStore, Rules

    return await crawled(job, MemoryStore(Rules(depth=1000)))


@benchmark(
    "growth/store",
    counts="page",
    shapes=KNOWN,
    step=BATCH,
    slow=True,
    program="SQLite",
    requires=("can_ada",),
)
async def in_sqlite(job: Job) -> int:
    """The same in a file."""
    from crawler.frontier import Rules, SQLiteStore

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "store.db")
        with SQLiteStore(path, path, resume=True, rules=Rules(depth=1000)) as store:
            return await crawled(job, store)


if "CRAWLER_REDIS" in os.environ:

    @contextlib.asynccontextmanager
    async def redis_store() -> AsyncIterator[Store]:
        """A crawl of its own in Redis, which is removed in the end."""
        from redis.asyncio import Redis

        from crawler.frontier import RedisStore, Rules

        url, name = os.environ["CRAWLER_REDIS"], secrets.token_hex(8)
        try:
            async with RedisStore(f"{url}/{name}", rules=Rules(depth=1000)) as store:
                yield store
        finally:
            client = Redis.from_url(url)
            async for key in client.scan_iter(f"{{{name}*", count=1000):
                await client.unlink(key)
            await client.aclose()

    @benchmark(
        "growth/store",
        counts="page",
        shapes=KNOWN,
        step=BATCH,
        slow=True,
        program="Redis",
        requires=("can_ada", "redis"),
    )
    async def in_redis(job: Job) -> int:
        """The same in Redis, on this machine."""
        async with redis_store() as store:
            return await crawled(job, store)
