"""The store in memory: for workers of one process, and to see what the other stores have to do.

It is the plainest there is. Each method does its work at once, so nothing comes between its steps.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .hosts import host_of
from .known import Known
from .store import Claimed, Done, Fenced, Page, Rules, share_of


@dataclass(slots=True)
class Host:
    """A host: what waits, what is claimed, whose it is."""

    waiting: dict[str, None] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    pages: int = 0
    owner: int | None = None
    ready_at: float = 0.0
    named: bool = False


class MemoryStore:
    """See :class:`.store.Store`; ``lease`` is in seconds of ``clock``."""

    def __init__(
        self,
        rules: Rules | None = None,
        *,
        lease: float = math.inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules or Rules()
        self._lease = lease
        self._clock = clock
        self._known = Known(self._rules.depth)
        self._pages: dict[str, Page] = {}  # those that are not done
        self._hosts: dict[str, Host] = {}
        self._begun: set[str] = set()
        self._workers: dict[int, float] = {}
        self._hungry: set[int] = set()
        self._joined = 0
        self._asked = 0
        self._listed = False
        self._written = 0
        self._counts: Counter[str] = Counter()

    async def add(self, listed: Sequence[tuple[str, str]]) -> None:
        """Take URLs of the list, each with its line."""
        place = self._rules.place
        for url, source in listed:
            host = self._hosts.setdefault(host_of(url), Host())
            host.named = True
            if place is not None:
                self._begun.add(place(host_of(url)))
            self._reach(url, 0, 0, source)

    async def end_list(self) -> None:
        """Note that there are no more of them."""
        if not self._listed:
            self._listed = True
            self._known.no_more_begins()

    async def join(self) -> int:
        """The number of a new worker."""
        self._joined += 1
        self._workers[self._joined] = self._clock() + self._lease
        return self._joined

    async def claim(
        self, worker: int, most: int, full: Sequence[str] = (), *, more: bool = True
    ) -> Claimed:
        """Up to ``most`` pages, of hosts that are held and of others."""
        self._hear(worker)
        now = self._clock()
        open_hosts = {
            name: host for name, host in self._hosts.items() if host.waiting or host.claimed
        }
        held = sum(host.owner == worker for host in open_hosts.values())
        room = -(-len(open_hosts) // len(self._workers)) - held
        give = max(0, -room) if self._hungry - {worker} else 0
        hosts = [
            host
            for name, host in open_hosts.items()
            if host.owner == worker and host.waiting and name not in full
        ]
        free = [
            host
            for host in open_hosts.values()
            if host.owner is None and host.waiting and host.ready_at <= now
        ]
        hosts += free[: max(0, room)] if more else []
        pages: list[Page] = []
        for host in hosts:
            if len(pages) < most:
                host.owner = worker
                pages += self._take(host, min(most - len(pages), share_of(most, len(hosts))))
        (self._hungry.add if more and not pages else self._hungry.discard)(worker)
        return Claimed(pages, self._known.least, self._listed and not self._pages, give)

    async def commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        """Make all of this so, or nothing."""
        self._hear(worker)
        for page in done:
            if page.url:
                host = self._hosts[host_of(page.url)]
                if host.owner != worker or page.url not in host.claimed:
                    raise Fenced(f"worker {worker} no longer holds what it has fetched")
        for page in done:
            self._end(page)
        self._written = written
        self._counts.update(counts)

    async def release(self, worker: int, hosts: Mapping[str, float]) -> None:
        """Give hosts back."""
        for name, rest in hosts.items():
            host = self._hosts[name]
            if host.owner == worker:
                host.ready_at = max(host.ready_at, self._clock() + rest)
                self._free(host)

    async def leave(self, worker: int) -> None:
        """Give everything back."""
        self._workers.pop(worker, None)
        self._hungry.discard(worker)
        for host in self._hosts.values():
            if host.owner == worker:
                self._free(host)

    async def written(self, worker: int) -> int:
        """How long the output was at the last commit."""
        return self._written

    async def counted(self) -> dict[str, int]:
        """What all commits have counted."""
        return dict(self._counts)

    def _hear(self, worker: int) -> None:
        now = self._clock()
        if worker not in self._workers:
            raise Fenced(f"worker {worker} was not heard of for {self._lease:g} s")
        self._workers[worker] = now + self._lease
        for other in [name for name, until in self._workers.items() if until < now]:
            del self._workers[other]
            self._hungry.discard(other)
            for host in self._hosts.values():
                if host.owner == other:
                    self._free(host)

    def _end(self, page: Done) -> None:
        known, place = self._known, self._rules.place
        depth = 0
        if page.url:
            depth = known.depth(page.url)
            known.close(page.url, page.links, redirect=not page.step)
        if page.moved:
            if place is not None:
                self._begun.add(place(host_of(page.moved)))
            if page.moved not in known:
                known.add_closed(page.moved, depth)
        for link in page.links:
            self._reach(link, depth + page.step, page.redirects)
        if not page.url:
            return
        known.settle(page.url)
        self._pages.pop(page.url)
        host = self._hosts[host_of(page.url)]
        host.claimed.discard(page.url)
        if page.rest:
            host.ready_at = max(host.ready_at, self._clock() + page.rest)
        if not host.waiting and not host.claimed:
            host.owner = None

    def _free(self, host: Host) -> None:
        host.owner = None
        host.waiting = dict.fromkeys([*host.claimed, *host.waiting])
        host.claimed.clear()

    def _take(self, host: Host, most: int) -> list[Page]:
        depth = self._known.depth
        urls = sorted(host.waiting, key=depth)[:most]
        for url in urls:
            del host.waiting[url]
            host.claimed.add(url)
        return [self._pages[url]._replace(depth=depth(url), named=host.named) for url in urls]

    def _reach(self, link: str, depth: int, redirects: int, source: str = "") -> None:
        rules, known = self._rules, self._known
        for url, at in known.nearer(link, depth):
            if url in known:
                continue
            name = host_of(url)
            if rules.place is not None and rules.place(name) not in self._begun:
                continue
            host = self._hosts.setdefault(name, Host())
            if (rules.max_pages is not None and self._asked >= rules.max_pages) or (
                rules.max_per_host is not None and host.pages >= rules.max_per_host
            ):
                continue
            if known.add(url, at):
                self._asked += 1
                host.pages += 1
                mine = url == link
                page = Page(url, source if mine else "", at, redirects if mine else 0)
                self._pages[url] = page
                host.waiting[url] = None
