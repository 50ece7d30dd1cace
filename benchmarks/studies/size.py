"""What a crawl costs as it gets longer: pages a second, and memory, at each power of ten.

    python -m benchmarks.studies.size crawl                       100,000 pages of a list
    python -m benchmarks.studies.size crawl --follow              the same pages, by their links
    python -m benchmarks.studies.size frontier                    1,000,000 URLs, nothing is fetched
    python -m benchmarks.studies.size frontier --store sqlite     the same in a file

The pages are those of the demo site, in a process of its own. The exit code is 1 if the crawl of a
list needs more memory at its end than after 1,000 pages (and a tenth), or the frontier a gibibyte.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.job import WorkNotDoneError
from benchmarks.layers.crawl import CONCURRENCY, Silence
from benchmarks.studies.frontier import HOSTS, LINKS, page_url

if TYPE_CHECKING:
    from crawler.crawl import Manners
    from crawler.frontier import Scope
    from crawler.output import Format

MIB = 1024 * 1024
GIB_IN_MIB = 1024.0
FIRST_MARK = 1_000
# How much more memory than at the first mark still counts as flat.
FLAT = 1.1


class Marks:
    """Prints a line at each power of ten: the speed since the last one, and the memory now."""

    def __init__(self) -> None:
        self.memory: list[float] = []
        self._mark = FIRST_MARK
        self._count = self._count_then = 0
        self._then = time.perf_counter()
        print(f"{'pages':>12}{'pages/s since':>16}{'MiB':>8}", flush=True)

    def count(self) -> None:
        """Count one page."""
        self._count += 1
        if self._count == self._mark:
            self._mark *= 10
            self.tell()

    def tell(self) -> None:
        """Print how it is now, unless it has just been."""
        if self._count == self._count_then:
            return
        now = time.perf_counter()
        rate = (self._count - self._count_then) / (now - self._then)
        self.memory.append(resident())
        print(f"{self._count:>12,}{rate:>16,.0f}{self.memory[-1]:>8.0f}", flush=True)
        self._count_then, self._then = self._count, now


class Marking(Silence):
    """Watches a crawl, and counts its pages."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def page(self, job: Any, response: Any, links: int) -> None:
        """A page was fetched."""
        self._marks.count()


def resident() -> float:
    """What this process has in memory, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


async def long_crawl(options: argparse.Namespace) -> int:
    """Crawl the site, by a list of its pages or along its links."""
    from crawler.crawl import Manners
    from crawler.demo.launch import running
    from crawler.demo.site import Site
    from crawler.frontier import Scope
    from crawler.memory import keep_freed_memory
    from crawler.output import FORMATS

    keep_freed_memory()
    form = FORMATS[options.format]
    with running(Site(options.pages, plain=True)) as at, tempfile.TemporaryDirectory() as directory:
        urls: Path | list[str] = [f"{at.http}/page/0"]
        scope, manners = Scope(), Manners(per_host=CONCURRENCY)
        if options.follow:
            scope = Scope(depth=options.pages, allow=(re.compile(f"^{at.http}/page/[0-9]+$"),))
            manners = Manners(per_host=CONCURRENCY, robots="crawler")
        else:
            urls = Path(directory, "urls")
            urls.write_text("".join(f"{at.http}/page/{n}\n" for n in range(options.pages)))
        marks = await crawled(urls, Path(directory, "found"), form, scope, manners, options.pages)
    if not options.follow and marks.memory[-1] > marks.memory[0] * FLAT:
        print(f"the memory is not flat: {marks.memory[-1] / marks.memory[0]:.2f} times the first")
        return 1
    return 0


async def crawled(
    urls: Path | list[str], found: Path, form: Format, scope: Scope, manners: Manners, pages: int
) -> Marks:
    """One crawl, which must fetch so many pages."""
    from crawler.crawl import crawl
    from crawler.fetching import keep_timings
    from crawler.http import Client, Limits

    marks = Marks()
    limits = Limits(connections=CONCURRENCY, per_origin=CONCURRENCY)
    trace = keep_timings if form.records else None
    async with Client(limits=limits, trace=trace) as client:
        summary = await crawl(
            urls, found, client, Marking(marks),
            concurrency=CONCURRENCY, scope=scope, manners=manners, form=form,
        )  # fmt: skip
    marks.tell()
    if summary.pages != pages:
        raise WorkNotDoneError(f"{summary.pages:,} pages were fetched instead of {pages:,}")
    print(f"{summary.pages / summary.seconds:,.0f} pages/s in all, {summary.links:,} links")
    return marks


def leads_to(page: int, pages: int) -> list[str]:
    """The links of a page that is made up: half of them to pages that nobody knows yet."""
    new = LINKS // 2
    first = page * new + 1
    old = [page_url((page * 7 + place * 13) % (page + 1)) for place in range(LINKS - new)]
    return [*old, *map(page_url, range(first, min(first + new, pages)))]


async def in_memory(pages: int, marks: Marks) -> int:
    """All pages through the frontier of a crawl without a state."""
    from crawler.frontier import Frontier, Malformed, Scope

    def malformed(line: Malformed) -> None:
        raise WorkNotDoneError(f"not a URL: {line}")

    done = 0
    async with Frontier([page_url(0)], malformed, scope=Scope(depth=pages)) as frontier:
        job = await frontier.next()
        while job is not None:
            frontier.found(job, leads_to(number_of(job.url.href), pages))
            done += 1
            marks.count()
            job = await frontier.next(job)
    return done


async def in_sqlite(pages: int, marks: Marks) -> int:
    """All pages through a state in a file."""
    from crawler.frontier import Rules, SQLiteStore
    from crawler.frontier.store import Done

    done = 0
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "state")
        with SQLiteStore(path, path, resume=True, rules=Rules(depth=pages)) as store:
            await store.add([(page_url(0), page_url(0))])
            await store.end_list()
            worker = await store.join()
            while claimed := (await store.claim(worker, 64)).pages:
                ended = [Done(page.url, leads_to(number_of(page.url), pages)) for page in claimed]
                done += len(ended)
                await store.commit(worker, ended, done, {"pages": len(ended)})
                for _ in ended:
                    marks.count()
    return done


def number_of(url: str) -> int:
    """The number of a page that is made up."""
    return int(url.rpartition("=")[2])


STORES: dict[str, Callable[[int, Marks], Awaitable[int]]] = {
    "memory": in_memory,
    "sqlite": in_sqlite,
}


async def frontier_alone(options: argparse.Namespace) -> int:
    """Put URLs of many hosts through a frontier."""
    print(f"{options.urls:,} URLs of {HOSTS} hosts, {LINKS} links each; store: {options.store}")
    marks = Marks()
    done = await STORES[options.store](options.urls, marks)
    marks.tell()
    if done != options.urls:
        raise WorkNotDoneError(f"{done:,} URLs came out of the frontier, {options.urls:,} went in")
    if max(marks.memory) >= GIB_IN_MIB:
        print("that is a gibibyte or more")
        return 1
    return 0


def main() -> int:
    """Run the study that was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.size",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--loop", default="miniloop", help="(default: %(default)s)")
    studies = parser.add_subparsers(required=True, metavar="crawl|frontier")
    crawl = studies.add_parser("crawl", help="pages that are fetched")
    crawl.add_argument("--pages", type=int, default=100_000, help="(default: %(default)s)")
    crawl.add_argument("--follow", action="store_true", help="by their links, asking robots.txt")
    crawl.add_argument("--format", default="tsv", help="tsv, jsonl, csv, sqlite or warc")
    crawl.set_defaults(study=long_crawl)
    frontier = studies.add_parser("frontier", help="URLs that are not fetched")
    frontier.add_argument("--urls", type=int, default=1_000_000, help="(default: %(default)s)")
    frontier.add_argument("--store", choices=STORES, default="memory", help="where they are kept")
    frontier.set_defaults(study=frontier_alone)
    options = parser.parse_args()

    from crawler.loops import loop_factory

    with asyncio.Runner(loop_factory=loop_factory(options.loop)) as runner:
        code: int = runner.run(options.study(options))
    return code


if __name__ == "__main__":
    sys.exit(main())
