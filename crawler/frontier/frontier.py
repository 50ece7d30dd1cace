"""What is to be fetched, and when: one object that the workers of a crawl share.

It puts the parts of this room together. The list of URLs is read while there is little to do
(:mod:`.reading`); links that the scope takes (:mod:`.scope`) and that are new (:mod:`.known`) join
the queue of their host (:mod:`.order`).

A crawl of a list alone looks at none of that but the queues: nothing grows with the length of the
list. A crawl that is to survive its process, or that several processes share, has another frontier,
of the same use: :mod:`.shared`.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

from crawler.http import URL

from .hosts import host_of
from .known import Known
from .order import Order
from .parsing import Job, Malformed
from .reading import URLList
from .scope import Bounds, Scope
from .sitemaps import MAX_LEVELS, MAX_SITEMAPS

# Fewer URLs than this in the queues, and more of the list is read. So it is while a worker has
# nothing to do, for what waits may all be of one slow host; but there is an end to that.
LOW_WATER = 1_000
HIGH_WATER = 20_000
PER_HOST = 8


class Frontier:
    """Hands out URLs, one :meth:`next` at a time, to any number of workers.

    ``per_host`` is how many URLs of a host may be in work, ``delay`` the seconds between the starts
    of two; ``repeats`` is how often a page is asked for again whose server was too busy.
    ``on_named`` is told each URL of the list before it is handed out.
    """

    def __init__(
        self,
        urls: Path | Sequence[str],
        on_malformed: Callable[[Malformed], None],
        *,
        scope: Scope | None = None,
        per_host: int = PER_HOST,
        delay: float = 0.0,
        repeats: int = 0,
        on_named: Callable[[URL], None] | None = None,
    ) -> None:
        self._list = URLList(urls, on_malformed)
        self._order: Order[Job | str] = Order(per_host, delay)
        self._bounds = Bounds(scope or Scope())
        self._depth = self._bounds.scope.depth
        self._repeats = repeats
        self._on_named = on_named
        # Whether a URL is remembered: not if there is nothing to follow.
        self._known: Known | None = None
        if self._depth or self._bounds.scope.sitemaps:
            self._known = Known(self._depth)
        self._reading: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._draining = False
        # Pages whose server was busy, and whether they have been put back.
        self._busy: dict[str, bool] = {}
        # Sitemaps that have been asked for, by origin.
        self._sitemaps: dict[str, set[str]] = {}

    async def __aenter__(self) -> "Frontier":
        await self._list.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._order.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        await self._list.__aexit__(kind, error, traceback)

    @property
    def waiting(self) -> int:
        """How many URLs are known to wait."""
        return self._order.waiting

    @property
    def in_work(self) -> int:
        """How many URLs are being fetched."""
        return self._order.running

    def depth(self, job: Job) -> int:
        """How many links a page is from the list, as far as is known."""
        return 0 if self._known is None else self._known.depth(job.key)

    async def next(self, previous: Job | None = None) -> Job | None:
        """The next URL, or None when there is none and none can come.

        ``previous`` is what this worker has just done with.
        """
        order = self._order
        if previous is not None:
            self._end(previous)
        while True:
            if self._failure is not None:
                raise self._failure
            if self._draining:
                return None
            taken = order.take()
            if self._reading is None and not self._list.exhausted:
                enough = LOW_WATER if taken is not None else HIGH_WATER
                if order.waiting < enough:
                    self._reading = asyncio.create_task(self._read())
            if taken is not None:
                item = taken[1]
                return item if isinstance(item, Job) else Job(item, URL(item), named=False)
            if self._reading is None and not order.waiting and not order.running:
                order.wake_all()
                return None
            await order.wait()

    def drain(self) -> None:
        """Hand out nothing more: what is in work is finished, and that is all."""
        self._draining = True
        self._order.wake_all()

    # ---- what a worker tells ---------------------------------------------------------------------

    def found(self, job: Job, links: Iterable[str]) -> None:
        """Follow the links of a page, as far as the scope goes; call it once a page, always.

        For a page that could not be fetched there are none.
        """
        known = self._known
        if known is None or job.sitemap:
            return
        key = job.key
        taken: list[str] = []
        if self._depth:
            takes = self._bounds.takes
            for link in links:
                if "#" in link:
                    link = link.partition("#")[0]
                if takes(link):
                    taken.append(link)
        known.close(key, taken)
        depth = known.depth(key) + 1
        for link in taken:
            self._reach(known, link, depth)

    def moved(self, job: Job, there: URL) -> None:
        """Note where a page of the list is in the end: there is no need to fetch that again."""
        if self._known is None:
            return
        self._bounds.begin_at(there.host)
        key = there.href.partition("#")[0]
        if key not in self._known:
            depth = self._known.depth(job.key)
            self._known.add_closed(key, depth)

    def redirected(self, job: Job, there: URL) -> None:
        """Follow a redirect of a page that a link led to; it takes the page's place."""
        known = self._known
        assert known is not None
        key = job.key
        link = there.href.partition("#")[0]
        taken = [link] if self._bounds.takes(link) else []
        depth = known.depth(key)
        known.close(key, taken, redirect=True)
        for link in taken:
            self._reach(known, link, depth, job.redirects + 1)

    def busy(self, job: Job, asked: float | None) -> bool:
        """Leave a host alone that is too busy; True if the page will be asked for once more.

        ``asked`` is what the server said about how many seconds that should be.
        """
        self._order.leave_alone(job.url.host, asked)
        again = job.tries < self._repeats
        self._busy[job.key] = again
        if again:
            self._order.add(job.url.host, job._replace(tries=job.tries + 1))
        return again

    def listed(self, job: Job, url: str, *, is_sitemap: bool) -> None:
        """Fetch what a sitemap lists, or where robots.txt says that one is.

        ``job`` is what led to it. What it lists is as near as what the user does, but not named.
        """
        known = self._known
        assert known is not None
        if not is_sitemap:
            if self._bounds.takes(url):
                self._reach(known, url, 0)
            return
        asked = self._sitemaps[job.source]
        if url in asked or len(asked) >= MAX_SITEMAPS or job.sitemap > MAX_LEVELS:
            return
        asked.add(url)
        known.more_begins()
        there = URL(url)
        self._order.add(there.host, job._replace(url=there, sitemap=job.sitemap + 1))

    def took(self, job: Job, seconds: float) -> None:
        """Note how long a page took: whoever gets slower has too much to do."""
        self._order.took(job.url.host, seconds)

    def space_out(self, url: URL, delay: float) -> None:
        """Keep at least ``delay`` seconds between two requests to the host of ``url``.

        One of them is sent now, however long ago the job was handed out.
        """
        self._order.space_out(url.host, delay)

    def sent(self, url: str) -> None:
        """Note that a request for ``url`` is being sent, which may be some time after its turn."""
        self._order.sent(host_of(url))

    # ---- how it is done --------------------------------------------------------------------------

    def _end(self, job: Job) -> None:
        good, again = True, False
        if self._busy:
            key = job.key
            if key in self._busy:
                good, again = False, self._busy.pop(key)
        if self._known is not None and not again:
            if job.sitemap:
                self._known.no_more_begins()
            else:
                self._known.settle(job.key)
        self._order.done(job.url.host, good=good)

    def _reach(self, known: Known, link: str, depth: int, redirects: int = 0) -> None:
        """Queue a link if it is new, and whatever is nearer than was thought because of it."""
        for url, at in known.nearer(link, depth):
            if url in known:
                continue
            host = host_of(url)
            if self._bounds.count(host) and known.add(url, at):
                if redirects and url == link:
                    self._order.add(host, Job(url, URL(url), named=False, redirects=redirects))
                else:
                    self._order.add(host, url)

    async def _read(self) -> None:
        try:
            for job in await self._list.read():
                self._name(job)
            if self._known is not None and self._list.exhausted:
                self._known.no_more_begins()
        except Exception as error:  # noqa: BLE001  (whoever asks for the next URL gets it)
            self._failure = error
        finally:
            self._reading = None
            self._order.wake_all()

    def _name(self, job: Job) -> None:
        """Queue a URL of the list."""
        if self._bounds.full:
            self._list.exhausted = True
            return
        if self._on_named is not None:
            self._on_named(job.url)
        host = job.url.host
        known = self._known
        if known is None:
            if self._bounds.count(host):
                self._order.add(host, job)
            return
        self._bounds.begin_at(host)
        origin = job.url.origin
        if self._bounds.scope.sitemaps and origin not in self._sitemaps:
            self._sitemaps[origin] = set()
            known.more_begins()
            self._order.add(host, Job(origin, URL(origin), sitemap=1))
        key = job.key
        if key in known:  # it stands there twice, or a page led to it before the list did
            self._reach(known, key, 0)
        elif self._bounds.count(host):
            known.add(key, 0)
            self._order.add(host, job)
