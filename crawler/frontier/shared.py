"""The frontier of one worker of several: its part of what a store has.

It is used as a :class:`.frontier.Frontier` is, and as the journal of the worker's output. What a
worker does with the pages of the hosts that it holds is the same as in a crawl of its own: the
order, the delays, the second attempts are here. What is known of the crawl is in the store, which
is asked for more whenever little is left to do, and told what pages came to together with each
write of the output.
"""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from crawler.http import URL

from .hosts import host_of
from .order import Order
from .parsing import Job, Malformed
from .reading import URLList
from .scope import Bounds, Scope
from .sitemaps import MAX_LEVELS, MAX_SITEMAPS
from .store import Done, Fenced, Page, Store

# Seconds between two looks for more when there was none, and the most of them; a worker that has
# enough looks as seldom as that, too. In a file a look costs nobody else much, and what two workers
# slept while the other had work for them was up to a tenth of a crawl of some seconds.
FIRST_LOOK = 0.02
LAST_LOOK = 0.5
LAST_LOOK_AT_FILE = 0.1
# What one claim may give, and how much of a host waits here before no more is asked for.
MOST = 256
ENOUGH_OF_A_HOST = 32
# How much may wait here if all of it is of hosts that are to be left alone: others are asked for.
MOST_AT_REST = 4_096
# How much of the list the store is told at a time.
LISTED_AT_ONCE = 250
# How many links are remembered as told to the store.
TOLD = 200_000
# Seconds between two attempts at the lock of the output.
LOCK_EVERY = 0.002
# Between the level of a sitemap and its URL, where a page has its URL alone.
_LEVEL = " "


async def feed(
    store: Store,
    urls: Path | Sequence[str],
    on_malformed: Callable[[Malformed], None],
    *,
    sitemaps: bool = False,
) -> None:
    """Tell the store what the list has; with ``sitemaps``, to ask the sites for theirs as well."""
    origins: set[str] = set()
    async with URLList(urls, on_malformed) as listed:
        while not listed.exhausted:
            jobs = await listed.read()
            if sitemaps:
                new = {job.url.origin for job in jobs} - origins
                origins |= new
                await store.add([(f"1{_LEVEL}{origin}/", "") for origin in sorted(new)])
            # In small steps: workers wait for the store meanwhile, and a list may be long.
            for start in range(0, len(jobs), LISTED_AT_ONCE):
                some = jobs[start : start + LISTED_AT_ONCE]
                await store.add([(job.key, job.source) for job in some])
    await store.end_list()


class Notes(NamedTuple):
    """What belongs to one commit."""

    done: list[Done]
    counts: Mapping[str, int]


class SharedFrontier:
    """A worker's part; ``async with`` it. ``scope``, ``per_host``, ``delay``, ``repeats`` as there.

    ``lock`` is the descriptor of a file on which the workers that write to one output wait for
    each other; without one the output is this worker's alone. ``counts`` says what the worker has
    counted so far; it goes to the store with the pages that it is about. ``joined`` is told what
    the worker is called there. ``last_look`` is how many seconds a worker with nothing to do may
    let pass until it asks the store again.
    """

    def __init__(
        self,
        store: Store,
        scope: Scope,
        *,
        per_host: int,
        delay: float = 0.0,
        repeats: int = 0,
        lock: int | None = None,
        trust: Callable[[str], None] | None = None,
        counts: Callable[[], Mapping[str, int]] = dict,
        joined: Callable[[int], None] = lambda worker: None,
        last_look: float = LAST_LOOK,
    ) -> None:
        self._store = store
        self._last_look = last_look
        # Where the crawl has to stay is the store's to know, and how much there may be.
        text_only = replace(
            scope, same_host=False, same_site=False, max_pages=None, max_per_host=None
        )
        self._bounds = Bounds(text_only)
        self._follows = bool(scope.depth)
        self._order: Order[Job] = Order(per_host, delay)
        self._repeats = repeats
        self._lock = lock
        self._trust = trust
        self._counts = counts
        self._joined = joined
        self._counted: Mapping[str, int] = {}
        self.worker = 0
        self.over = False
        self._failure: BaseException | None = None
        self._draining = False
        self._closing = False
        self._looking: asyncio.Task[None] | None = None
        # What has the store asked for more: so few wait, or something has been committed.
        self._wanted = asyncio.Event()
        self._low = -1
        self._committed = False
        self._notes: list[Done] = []
        self._least = -1
        self._loop = asyncio.get_running_loop()
        self._until = math.inf
        self._lease_end: asyncio.TimerHandle | None = None
        self._depths: dict[str, int] = {}
        self._busy: dict[str, bool] = {}
        self._told: dict[str, int] = {}
        self._sitemaps: dict[str, set[str]] = {}
        # Pages of each host that the store has not been told of, and hosts that are to be given
        # back.
        self._noted: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._written = 0
        self._moved: str | None = None

    async def __aenter__(self) -> "SharedFrontier":
        self.worker = await self._store.join()
        self._joined(self.worker)
        self._written = await self._store.written(self.worker)
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._order.close()
        self._set_end(math.inf)
        if self._looking is not None:
            # Asked first, and cancelled more than once: a client of an engine may swallow that.
            self._closing = True
            self._wanted.set()
            _, left = await asyncio.wait({self._looking}, timeout=LAST_LOOK)
            while left:
                self._looking.cancel()
                _, left = await asyncio.wait({self._looking}, timeout=FIRST_LOOK)
        try:
            await self._store.leave(self.worker)
        except (OSError, Fenced):
            # What ended the crawl says more, and what is held here will be free after the lease.
            if error is None:
                raise

    @property
    def waiting(self) -> int:
        """How many URLs wait here."""
        return self._order.waiting

    @property
    def in_work(self) -> int:
        """How many are being fetched here."""
        return self._order.running

    def depth(self, job: Job) -> int:
        """How many links a page is from the list, as far as was known when it was claimed."""
        return self._depths.get(_key(job), 0)

    def drain(self) -> None:
        """Hand out nothing more: what is in work is finished, and the rest stays in the store."""
        self._draining = True
        self._order.wake_all()

    async def next(self, previous: Job | None = None) -> Job | None:
        """The next URL, or None when there is none and none can come."""
        order = self._order
        if previous is not None:
            self._end(previous)
        while True:
            if self._failure is not None:
                raise self._failure
            if self._draining or self.over:
                return None
            late = self._loop.time() >= self._until
            taken = None if late else order.take()
            if taken is not None:
                if order.waiting <= self._low:
                    self._wanted.set()
                return taken[1]
            await order.wait()

    # ---- what a worker tells ---------------------------------------------------------------------

    def found(self, job: Job, links: Iterable[str]) -> None:
        """Follow the links of a page, as far as the scope goes; call it once a page, always."""
        taken: list[str] = []
        if self._follows and not job.sitemap:
            takes, told, least = self._bounds.takes, self._told, self._least
            for link in links:
                if "#" in link:
                    link = link.partition("#")[0]
                # A link is no nearer by this page than one link from the least deep of all.
                if told.get(link, least + 2) > least + 1 and takes(link):
                    taken.append(link)
        self._note(job, taken)

    def moved(self, job: Job, there: URL) -> None:
        """Note where a page of the list is in the end: there is no need to fetch that again."""
        # It goes with the page, which `found` is told right after this.
        self._moved = there.href.partition("#")[0]

    def redirected(self, job: Job, there: URL) -> None:
        """Follow a redirect of a page that a link led to; it takes the page's place."""
        link = there.href.partition("#")[0]
        taken = [link] if self._bounds.takes(link) else []
        self._note(job, taken, 0, job.redirects + 1)

    def busy(self, job: Job, asked: float | None) -> bool:
        """Leave a host alone that is too busy; True if the page will be asked for once more."""
        self._order.leave_alone(job.url.host, asked)
        again = job.tries < self._repeats
        self._busy[_key(job)] = again
        if again:
            self._order.add(job.url.host, job._replace(tries=job.tries + 1))
        return again

    def listed(self, job: Job, url: str, *, is_sitemap: bool) -> None:
        """Fetch what a sitemap lists, or where robots.txt says that one is."""
        if not is_sitemap:
            if self._bounds.takes(url):
                self._list(url)
            return
        asked = self._sitemaps.setdefault(job.source, set())
        if url in asked or len(asked) >= MAX_SITEMAPS or job.sitemap > MAX_LEVELS:
            return
        asked.add(url)
        self._list(f"{job.sitemap + 1}{_LEVEL}{url}")

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

    def _note(self, job: Job, links: list[str], step: int = 1, redirects: int = 0) -> None:
        moved = ""
        if self._moved is not None:
            moved, self._moved = self._moved, None
        host = job.url.host
        self._noted[host] += 1
        self._notes.append(Done(_key(job), links, step, redirects, moved, self._order.rest(host)))

    def _list(self, url: str) -> None:
        """Note what a sitemap lists."""
        if not self._notes or self._notes[-1].url:
            self._notes.append(Done("", [], step=0))
        links = self._notes[-1].links
        assert isinstance(links, list)
        links.append(url)

    def _end(self, job: Job) -> None:
        good = True
        key = _key(job)
        if self._busy and key in self._busy:
            good = False
            if self._busy.pop(key):
                self._order.done(job.url.host, good=False)
                return
        self._order.done(job.url.host, good=good)

    # ---- the journal of the output ---------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether there is anything to be committed."""
        return bool(self._notes)

    @property
    def urgent(self) -> bool:
        """Whether a commit is waited for: there may be nothing to do until then.

        Or not for others: a host that they are to have is given back after its last commit.
        """
        return not self._order.waiting or any(
            self._noted[host] and not self._order.runs(host) for host in self._leaving
        )

    def take(self) -> Notes:
        """What has been noted since the last call; it goes to :meth:`commit`."""
        notes, self._notes = self._notes, []
        before, self._counted = self._counted, self._counts()
        counts = {name: n - before.get(name, 0) for name, n in self._counted.items()}
        return Notes(notes, {name: n for name, n in counts.items() if n})

    @property
    def shared(self) -> bool:
        """Whether others write to the output, too."""
        return self._lock is not None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[int]:
        """Have the output alone; gives where it ends."""
        try:
            if self._lock is None:
                yield self._written
                return
            async with _locked(self._lock):
                yield await self._store.written(self.worker)
        except BaseException as error:
            # Those who wait for more would wait for ever: nothing will be committed any more.
            self._failure = error
            self._order.wake_all()
            raise

    async def commit(self, notes: Notes, written: int) -> None:
        """Make all of this so, or nothing; raises OSError if that cannot be done."""
        await self._store.commit(self.worker, notes.done, written, notes.counts)
        self._written = written
        told = self._told
        if len(told) > TOLD:
            told.clear()
        for page in notes.done:
            depth = 0
            if page.url:
                depth = self._depths.pop(page.url) + page.step
                self._noted[host_of(page.url)] -= 1
            for link in page.links:
                if told.get(link, depth + 1) > depth:
                    told[link] = depth
        self._noted = +self._noted
        self._committed = True
        if self._leaving or self._order.waiting < MOST // 2:
            self._wanted.set()

    # ---- asking the store ------------------------------------------------------------------------

    async def _look(self) -> None:
        order, pause = self._order, FIRST_LOOK
        try:
            while not self._closing:
                self._wanted.clear()
                starved = order.starved
                enough = MOST_AT_REST if starved else MOST // 2
                hungry = order.waiting < enough and not self._draining
                full: Sequence[str] = ()
                if hungry:
                    full = order.well_filled(1 if starved else ENOUGH_OF_A_HOST)
                claimed = await self._store.claim(
                    self.worker, MOST if hungry else 0, [*full, *self._leaving], more=hungry
                )
                self._least = claimed.least
                if self._loop.time() >= self._until:
                    order.wake_all()
                self._until = claimed.until
                self._set_end(claimed.ends)
                self._take_up(claimed.pages)
                if claimed.over and not claimed.pages:
                    self.over = True
                    return
                if claimed.stop:
                    self.drain()
                # Those that it is about to give back are counted as its own still.
                give = claimed.give - len(self._leaving)
                if give > 0 and not self._draining:
                    self._give(give)
                await self._release()
                # With something to do it looks again when half of that is done; else when there has
                # been a commit, or others may have found something.
                self._low = order.waiting // 2 if order.waiting else -1
                pause = FIRST_LOOK if claimed.pages or self._committed else 2 * pause
                self._committed = False
                # Not wait_for, which on Python 3.11 may take being cancelled for being woken.
                idle = starved or order.starved or not order.waiting
                limit = min(pause, self._last_look) if idle else LAST_LOOK
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(limit):
                        await self._wanted.wait()
        except Exception as error:  # noqa: BLE001  (whoever asks for the next URL gets it)
            self._failure = self._failure or error
        finally:
            order.wake_all()

    def _set_end(self, when: float) -> None:
        """Give up at that time, unless the store is heard before."""
        if self._lease_end is not None:
            self._lease_end.cancel()
        self._lease_end = None if when == math.inf else self._loop.call_at(when, self._run_out)

    def _run_out(self) -> None:
        # At once, and not when the store's answer comes: a request that lies in a dead connection
        # would reach its server when the network comes back, and another worker has the host then.
        self._failure = self._failure or Fenced(f"worker {self.worker} was silent for its lease")
        self._order.wake_all()

    def _take_up(self, pages: Sequence[Page]) -> None:
        for page in pages:
            level, space, href = page.url.rpartition(_LEVEL)
            url = URL(href)
            if page.named and self._trust is not None:
                self._trust(url.server_name)
            if space:
                job = Job(page.source or url.origin, url, named=False, sitemap=int(level))
            elif page.source:
                job = Job(page.source, url)
            else:
                job = Job(href, url, named=False, redirects=page.redirects)
            self._depths[page.url] = page.depth
            self._order.add(host_of(href), job)

    # ---- giving hosts to others ------------------------------------------------------------------

    def _give(self, most: int) -> None:
        """Begin to give hosts back, for others have nothing to do."""
        for host in self._order.with_work()[:most]:
            for job in self._order.withdraw(host):
                self._depths.pop(_key(job), None)
            self._leaving.add(host)

    async def _release(self) -> None:
        """Give back those hosts of which nothing is in work, nor still to be told."""
        ended = {
            host: self._order.rest(host)
            for host in self._leaving
            if not self._noted[host] and not self._order.runs(host)
        }
        if ended:
            await self._store.release(self.worker, ended)
            self._leaving -= ended.keys()


@contextlib.asynccontextmanager
async def _locked(descriptor: int) -> AsyncIterator[None]:
    """Hold a file's lock, which is of the process: those with one descriptor exclude each other."""
    import fcntl  # POSIX only, as a crawl of one process need not be

    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except (BlockingIOError, PermissionError):
            await asyncio.sleep(LOCK_EVERY)
    try:
        yield
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN)


def _key(job: Job) -> str:
    """What a job is called in the store."""
    if not job.sitemap:
        return job.key
    return f"{job.sitemap}{_LEVEL}{job.url.href}"
