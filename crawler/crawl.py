"""The crawl, from top to bottom.

A fixed number of workers share one frontier, one client and one output. Each worker does one page
after the other: take a URL, fetch it, find its links, hand them to the output and, if links are
followed, to the frontier. Nothing grows with the length of the list: it is read as it is used, and
a worker that finds the output behind waits for it before it fetches again.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from .fetching import Departures, Fetcher, Moved, UnexpectedError, Visit
from .frontier import (
    PER_HOST,
    Disallowed,
    Frontier,
    Guard,
    Job,
    Malformed,
    Robots,
    Scope,
    SharedFrontier,
    Sitemap,
    read_sitemap,
)
from .http import URL, BadStatus, Client, HTTPError, InvalidURL, Response
from .http.retry import seconds_asked
from .output import FORMATS, Format, Output
from .page import DEFAULT_KINDS
from .summary import Summary

__all__ = ["Manners", "Observer", "Queue", "UnexpectedError", "Watcher", "crawl"]

# Statuses of a server that has too much to do.
BUSY = frozenset({429, 503})

AnyFrontier = Frontier | SharedFrontier


class Observer(Protocol):
    """Who is told how the crawl goes (the progress bar, a log, a test)."""

    def page(self, job: Job, response: Response, links: int) -> None:
        """A page was fetched."""

    def failure(self, job: Job, error: HTTPError) -> None:
        """A URL could not be fetched."""

    def malformed(self, line: Malformed) -> None:
        """A line of the list is no URL."""


class Queue(Protocol):
    """How much there is to do."""

    @property
    def waiting(self) -> int:
        """How many URLs are known to wait."""

    @property
    def in_work(self) -> int:
        """How many are being fetched."""


class Watcher(Protocol):
    """Who is to know what came of each URL (the live view, the report)."""

    records: bool
    """Whether it asks visits for their record."""

    def begins(self, queue: Queue, summary: Summary) -> None:
        """The crawl begins; both change while it goes on."""

    def over(self, visit: Visit, depth: int) -> None:
        """A URL is done with, one way or the other."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a crawl treats the servers.

    ``per_host`` is how many pages of a host may be in work, ``delay`` the seconds between the
    starts of two. ``robots`` is the name by which robots.txt files may speak of us, for what the
    user did not name; None is not to ask them. ``repeats`` is how often a page is asked for again
    whose server has too much to do (429, 503); that server is left alone for a while in any case.
    """

    per_host: int = PER_HOST
    delay: float = 0.0
    robots: str | None = None
    repeats: int = 0


async def crawl(
    urls: Path | Sequence[str],
    found: Path | int,
    client: Client,
    observer: Observer,
    *,
    concurrency: int,
    append: bool = False,
    kinds: frozenset[str] = DEFAULT_KINDS,
    scope: Scope | None = None,
    manners: Manners | None = None,
    guard: Guard | None = None,
    form: Format = FORMATS["tsv"],
    shared: SharedFrontier | None = None,
    drain: asyncio.Event | None = None,
    summary: Summary | None = None,
    watchers: Sequence[Watcher] = (),
    departures: Departures | None = None,
) -> Summary:
    """Fetch every URL that ``urls`` lists and write the links found to the file ``found``.

    ``urls`` is a file or the URLs themselves. ``found`` may be an open file descriptor; ``append``
    adds to a file instead of replacing it; ``form`` is what it looks like.
    ``concurrency`` is the number of pages in work at a time, ``kinds`` what is taken for a link
    (:data:`crawler.page.KINDS`), ``scope`` which links are followed (none, by default). ``guard``
    is told the hosts that the user named; its ``permit`` is the client's. ``shared`` is this
    worker's part of a crawl that is kept in a store; ``urls``, ``scope``, ``manners`` and ``guard``
    are its business then. The ``watchers`` are told of each URL that is done with. ``departures``
    are the client's, if delays are to count from when requests are sent.

    To stop early, set ``drain``: the pages in work are finished, no more is begun, and then the
    call is cancelled. Or cancel it yourself: the pages in work are given up. Either way all that
    was found until then is written, and ``summary``, which counts as the crawl goes on, agrees with
    the file.

    Raises OSError, perhaps in an ExceptionGroup, if the list cannot be read or the file cannot be
    written.
    """
    summary = summary or Summary()
    manners = manners or Manners()
    robots = Robots(client, manners.robots or "crawler")
    obeys = manners.robots is not None
    records = form.records or any(watcher.records for watcher in watchers)
    fetcher = Fetcher(client, kinds, records=records, timed=bool(watchers))

    def malformed(line: Malformed) -> None:
        summary.malformed += 1
        observer.malformed(line)

    async def work() -> None:
        job: Job | None = None
        while (job := await frontier.next(job)) is not None:
            visit = Visit(job)
            in_work.begin()
            try:
                if job.sitemap:
                    await _read_sitemaps(client, robots, frontier, job)
                    frontier.found(job, ())
                    await output.put(b"")
                    continue
                if obeys and not job.named:
                    rules = await robots.rules(job.url)
                    await rules.check(job.url)
                    # Asking robots.txt took its time, which is none between two pages.
                    frontier.space_out(job.url, rules.delay)
                began = perf_counter()
                try:
                    await fetcher.fetch(visit)
                finally:
                    frontier.took(job, perf_counter() - began)
            except Moved as moved:
                summary.redirected += 1
                frontier.redirected(job, moved.there)
            except HTTPError as error:
                if (
                    isinstance(error, BadStatus)
                    and error.status in BUSY
                    and frontier.busy(job, seconds_asked(error.retry_after))
                ):
                    continue
                visit.error = error
                frontier.found(job, ())
                if job.sitemap:
                    summary.failures[error.reason] += 1
                    observer.failure(job._replace(source=job.url.href), error)
                    await output.put(b"")
                    continue
                if isinstance(error, Disallowed):
                    summary.disallowed += 1
                else:
                    summary.failures[error.reason] += 1
                    observer.failure(job, error)
            else:
                response, links = visit.response, visit.links
                assert response is not None
                if response.history:
                    frontier.moved(job, response.url)
                frontier.found(job, links)
                summary.pages += 1
                summary.links += len(links)
                summary.received += response.wire_bytes
                observer.page(job, response, len(links))
            finally:
                in_work.end()
            for watcher in watchers:
                watcher.over(visit, frontier.depth(job))
            if form.records:
                await output.put(form.write(visit.record(frontier.depth(job))))
            else:
                await output.add(job.source, visit.links)

    async def drain_when_told(told: asyncio.Event, crawling: asyncio.Task[Any]) -> None:
        await told.wait()
        own.drain()
        await in_work.wait_for_none()
        crawling.cancel()  # what it still waits for may never come: a quiet pipe, for one

    in_work = InWork()
    own = shared or Frontier(
        urls,
        malformed,
        scope=scope,
        per_host=manners.per_host,
        delay=manners.delay,
        repeats=manners.repeats,
        on_named=None if guard is None else lambda url: guard.trust(url.server_name),
    )
    if departures is not None:
        departures.tell = own.sent
    draining: asyncio.Task[None] | None = None
    if drain is not None:
        crawling = asyncio.current_task()
        assert crawling is not None
        draining = asyncio.create_task(drain_when_told(drain, crawling))
    try:
        async with (
            own as frontier,
            Output(found, append=append, form=form, journal=shared) as output,
            asyncio.TaskGroup() as workers,
        ):
            for watcher in watchers:
                watcher.begins(frontier, summary)
            for _ in range(concurrency):
                workers.create_task(work())
    finally:
        if draining is not None:
            draining.cancel()
        summary.stop_clock()
    return summary


class InWork:
    """How many pages are in work."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def begin(self) -> None:
        """Count a page."""
        self._count += 1
        if self._count == 1:
            self._none.clear()

    def end(self) -> None:
        """Count it off."""
        self._count -= 1
        if not self._count:
            self._none.set()

    async def wait_for_none(self) -> None:
        """Until there is none."""
        await self._none.wait()


async def _read_sitemaps(client: Client, robots: Robots, frontier: AnyFrontier, job: Job) -> None:
    """Find the sitemaps of an origin, or read one of them."""
    if job.sitemap == 1:
        for text in (await robots.rules(job.url)).sitemaps:
            with contextlib.suppress(InvalidURL):
                frontier.listed(job, URL(text, base=job.url).href, is_sitemap=True)
        return
    sitemap = Sitemap()
    async for url in read_sitemap(client, job.url, sitemap):
        frontier.listed(job, url, is_sitemap=sitemap.is_index)
