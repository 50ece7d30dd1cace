"""Whose turn it is: a queue for each host, and a heap of the times at which hosts are ready again.

The rules:

1. A host has at most ``limit`` URLs in work, and between the starts of two at least ``delay``
   seconds.
2. A host is *listed* if it has a URL waiting and room for it. A listed host is in exactly one
   place: among the ready ones, who take turns, or in the heap, by the time at which it will be
   ready.
3. A host that has nothing waiting, nothing in work and no reason to be remembered is forgotten.

So no step looks through all hosts or all URLs, and a host that is slow, or wants to be left alone
for a while, holds nobody up.

A server that says that it has too much to do (429, 503) is left alone for as long as it asks, or
for a time that doubles with each such reply, and gets half as much at once. Each good reply gives
it one more, up to what it had.

One that does not say so gets slower. Where pages take several times as long as the fastest of this
host did, they wait for each other there: it gets less at once, down to one page, and no more again
until they come faster.
"""

import asyncio
import heapq
import itertools
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

# Seconds that a busy host is left alone the first time, and the longest.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
# What a server may ask for with Retry-After, in seconds.
LONGEST_ASKED = 600.0
# A host is slow when its pages usually take this many times as long as the best of them, and so
# many seconds more; it is at ease again below half of that.
SLOW = 3.0
SLOW_BESIDE = 0.2
# How much of the usual time each page makes up, and by how much the best is forgotten with each.
_WEIGHT = 1 / 8
_FORGOTTEN = 1.01
_PLACES = itertools.count()


class Host(Generic[T]):
    """What is known of one host while there is something to know."""

    __slots__ = (
        "best", "delay", "limit", "listed", "name", "pause", "ready_at", "running", "since", "slow",
        "usual", "waiting",
    )  # fmt: skip

    def __init__(self, name: str, limit: int, delay: float) -> None:
        self.name = name
        self.limit = limit
        self.delay = delay
        self.waiting: deque[T] = deque()
        self.running = 0
        self.ready_at = 0.0
        self.pause = 0.0
        self.listed = False
        # How long its pages take, in seconds, and how many there were since it was slowed down.
        self.best = 0.0
        self.usual = 0.0
        self.slow = False
        self.since = 0


class Order(Generic[T]):
    """Hands out what waits, a host's share at a time.

    ``limit`` and ``delay`` are for each host. Whoever finds nothing ready awaits :meth:`wait`.
    """

    def __init__(self, limit: int, delay: float = 0.0) -> None:
        self._limit = limit
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._hosts: dict[str, Host[T]] = {}
        self._ready: deque[Host[T]] = deque()
        self._later: list[tuple[float, int, Host[T]]] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self.waiting = 0
        self.running = 0

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def add(self, name: str, item: T) -> None:
        """Put something at the end of a host's queue."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(name, self._limit, self._delay)
        host.waiting.append(item)
        self.waiting += 1
        if not host.listed and host.running < host.limit:
            self._list(host)
        if self._waiters:
            self._wake()

    def take(self) -> tuple[str, T] | None:
        """The next, with its host, which :meth:`done` is to be told; None if nothing is ready."""
        if self._later:
            self._move_due()
        while True:
            if not self._ready:
                return None
            host = self._ready.popleft()
            host.listed = False
            if not host.ready_at and host.running < host.limit:
                break
            # It may have been slowed down since it was listed.
            if host.running < host.limit:
                if host.ready_at <= self._loop.time():
                    break
                self._list(host)
        item = host.waiting.popleft()
        self.waiting -= 1
        host.running += 1
        self.running += 1
        if host.delay:
            host.ready_at = self._loop.time() + host.delay
        if host.waiting and host.running < host.limit:
            self._list(host)
        if self._waiters and self._ready:
            self._wake()
        return host.name, item

    def done(self, name: str, *, good: bool = True) -> None:
        """Give back a place at a host. Whoever calls this calls :meth:`take` next."""
        host = self._hosts[name]
        host.running -= 1
        self.running -= 1
        if good and host.limit < self._limit and not host.slow:
            host.limit += 1
        if good and host.pause:
            host.pause = 0.0
        if host.waiting:
            if not host.listed and host.running < host.limit:
                self._list(host)
        elif not host.running and not host.listed:
            if host.ready_at and host.ready_at > self._loop.time():
                self._list(host)  # to be forgotten when it is due, unless there is more by then
            else:
                del self._hosts[name]

    def took(self, name: str, seconds: float) -> None:
        """Note how long a page of a host was in work, before :meth:`done`."""
        host = self._hosts[name]
        if not host.best:
            host.best = host.usual = seconds
            return
        host.best = min(host.best * _FORGOTTEN, seconds)
        # One page that takes for ever says nothing of the others.
        host.usual += (min(seconds, 2 * host.usual + SLOW_BESIDE) - host.usual) * _WEIGHT
        host.since += 1
        limit = SLOW * host.best + SLOW_BESIDE
        if host.usual > limit:
            host.slow = True
            if host.since >= host.limit:  # what was in work before does not show the change yet
                host.since = 0
                host.limit = max(1, host.limit * 3 // 4)
        elif host.slow and host.usual < limit / 2:
            host.slow = False

    def leave_alone(self, name: str, asked: float | None) -> None:
        """Let a host that is busy have a rest, for ``asked`` seconds if it said how long."""
        host = self._hosts[name]
        now = self._loop.time()
        if host.ready_at <= now or not host.pause:  # not once for each page that was in work
            host.pause = min(max(FIRST_PAUSE, 2 * host.pause), LONGEST_PAUSE)
            host.limit = max(1, host.limit // 2)
        host.ready_at = max(host.ready_at, now + min(max(host.pause, asked or 0.0), LONGEST_ASKED))

    def space_out(self, name: str, delay: float) -> None:
        """Have at least ``delay`` seconds between two starts at this host, of which one is now."""
        host = self._hosts[name]
        host.delay = max(host.delay, delay)
        if host.delay:
            host.ready_at = max(host.ready_at, self._loop.time() + host.delay)

    def sent(self, name: str) -> None:
        """Note that a request to this host is being sent: its delay counts from here."""
        host = self._hosts.get(name)
        if host is not None and host.delay:
            host.ready_at = max(host.ready_at, self._loop.time() + host.delay)

    def rest(self, name: str) -> float:
        """For how many seconds a host is still to be left alone."""
        host = self._hosts.get(name)
        if host is None or not host.ready_at:
            return 0.0
        return max(0.0, host.ready_at - self._loop.time())

    @property
    def starved(self) -> bool:
        """Whether somebody waits for something to do, and nothing may be begun."""
        return bool(self._waiters) and not self._ready

    def runs(self, name: str) -> bool:
        """Whether anything of a host is in work."""
        host = self._hosts.get(name)
        return host is not None and host.running > 0

    def with_work(self) -> list[str]:
        """The hosts of which something waits, those with the least in work first."""
        hosts = sorted(self._hosts.values(), key=lambda host: host.running)
        return [host.name for host in hosts if host.waiting]

    def well_filled(self, enough: int) -> list[str]:
        """The hosts of which so much waits."""
        return [host.name for host in self._hosts.values() if len(host.waiting) >= enough]

    def withdraw(self, name: str) -> list[T]:
        """Take back all that waits for a host."""
        host = self._hosts[name]
        taken = list(host.waiting)
        self.waiting -= len(taken)
        host.waiting.clear()
        if host.listed and host in self._ready:
            self._ready.remove(host)
            host.listed = False
        if not host.listed and not host.running:
            del self._hosts[name]
        return taken

    async def wait(self) -> None:
        """Until something may be ready, or :meth:`wake_all` is called."""
        self._set_timer()
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # Woken and cancelled at once: somebody else is to look.
            if waiter.done() and not waiter.cancelled():
                self._wake()
            raise

    def wake_all(self) -> None:
        """Have all who wait look again."""
        while self._waiters:
            self._wake()

    def _list(self, host: Host[T]) -> None:
        host.listed = True
        if host.ready_at and host.ready_at > self._loop.time():
            heapq.heappush(self._later, (host.ready_at, next(_PLACES), host))
            if self._waiters:
                self._set_timer()
        else:
            self._ready.append(host)

    def _move_due(self) -> None:
        now = self._loop.time()
        while self._later and self._later[0][0] <= now:
            _, _, host = heapq.heappop(self._later)
            if host.ready_at > now:  # it was asked to be left alone meanwhile
                heapq.heappush(self._later, (host.ready_at, next(_PLACES), host))
            elif host.waiting:
                self._ready.append(host)
            else:
                host.listed = False
                if not host.running:
                    del self._hosts[host.name]

    def _set_timer(self) -> None:
        if not self._later:
            return
        when = self._later[0][0]
        if self._timer is not None:
            if self._rings_at <= when:
                return
            self._timer.cancel()
        # Noted here, as uvloop's handle of a time that has passed does not know it.
        self._rings_at = when
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._move_due()
        if self._ready and self._waiters:
            self._wake()
        elif self._waiters:
            self._set_timer()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
