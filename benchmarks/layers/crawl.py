"""The crawl: whole programs, on each loop, against the demo site in another process.

Every program must fetch all pages and write down as many different links as the site is known to
hold; otherwise its sample is an error. Starting Python and importing are not counted.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.catalogue import benchmark
from benchmarks.far_end import site
from benchmarks.job import Job, Shape, WorkNotDoneError

CONCURRENCY = 100  # pages under way at a time
SHAPES = [Shape(count=1000)]

Crawler = Callable[[Path, Path], Awaitable[int]]


def whole_site(shape: Shape) -> int:
    """`n` is a multiple of the pages of the site."""
    return shape.count


async def crawl_site(job: Job, crawler: Crawler) -> int:
    """Have `crawler` crawl the site as often as it takes for `job.n` pages, and check its files."""
    pages = 0
    async with site(job, job.shape.count) as there:
        with tempfile.TemporaryDirectory() as directory:
            files = [Path(directory, str(turn)) for turn in range(job.n // job.shape.count)]
            with job.timed():
                for found in files:
                    pages += await crawler(Path(there["urls"]), found)
            for found in files:
                check_links(found, there["links"])
    return pages


def check_links(found: Path, expected: int) -> None:
    """Raise `WorkNotDoneError` unless the file has `expected` different links."""
    _, *lines = found.read_text(encoding="utf-8").splitlines()
    if len(set(lines)) != expected:
        raise WorkNotDoneError(f"{len(set(lines))} different links where the site has {expected}")


class Silence:
    """Watches a crawl without a word."""

    def page(self, job: Any, response: Any, links: int) -> None:
        """A page was fetched."""

    def failure(self, job: Any, error: Exception) -> None:
        """A page was not: then the figure would be of another crawl."""
        raise WorkNotDoneError(f"{job.source}: {error}")

    def malformed(self, line: Any) -> None:
        """A line of the list is no URL."""
        raise WorkNotDoneError(f"not a URL: {line}")


async def ours(urls: Path, found: Path) -> int:
    """Our crawler, set up as its command does, memory setting included."""
    from crawler.crawl import crawl
    from crawler.http import Client, Limits
    from crawler.memory import keep_freed_memory

    keep_freed_memory()
    limits = Limits(connections=CONCURRENCY, per_origin=CONCURRENCY)
    async with Client(limits=limits) as client:
        summary = await crawl(urls, found, client, Silence(), concurrency=CONCURRENCY)
    return summary.pages


async def with_aiohttp(urls: Path, found: Path) -> int:
    """The crawler of `benchmarks.crawlers.with_aiohttp`."""
    from benchmarks.crawlers.with_aiohttp import crawl

    return await crawl(urls, found, CONCURRENCY)


@benchmark(
    "crawl/site",
    counts="page",
    shapes=SHAPES,
    step=whole_site,
    far_end=True,
    program="aiohttp + aiofiles",
    reference=True,
    requires=("aiohttp", "aiofiles", "can_ada", "selectolax"),
)
async def crawl_with_aiohttp(job: Job) -> int:
    """Crawlers: fetch the pages of a list, find their links, write them down."""
    return await crawl_site(job, with_aiohttp)


@benchmark(
    "crawl/site",
    counts="page",
    shapes=SHAPES,
    step=whole_site,
    far_end=True,
    program="crawler",
    requires=("h11", "aiofiles", "can_ada"),
)
async def crawl_with_ours(job: Job) -> int:
    """Our crawler on the same list."""
    return await crawl_site(job, ours)


@benchmark(
    "crawl/site",
    counts="page",
    shapes=SHAPES,
    step=whole_site,
    far_end=True,
    program="Scrapy",
    loops=("asyncio",),
    requires=("scrapy", "can_ada", "selectolax"),
)
async def crawl_with_scrapy(job: Job) -> int:
    """Scrapy on the same list, in a process of its own and on its own reactor."""
    pages = 0
    seconds = 0.0
    cpu = _children_cpu()
    async with site(job, job.shape.count) as there:
        while pages < job.n:
            with tempfile.TemporaryDirectory() as directory:
                found = Path(directory, "found")
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "benchmarks.crawlers.with_scrapy"),
                    *(there["urls"], str(found), str(CONCURRENCY)),
                    stdout=asyncio.subprocess.PIPE,
                )
                output, _ = await process.communicate()
                if process.returncode or not output:
                    raise WorkNotDoneError(f"Scrapy ended with code {process.returncode}")
                seconds += float(output)
                check_links(found, there["links"])
                pages += job.shape.count
    job.record(seconds, cpu=_children_cpu() - cpu)
    return pages


def _children_cpu() -> float:
    """Seconds of processor time that the processes started by this one took, as far as ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
