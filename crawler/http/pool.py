"""Which request gets which connection.

The rules:

1. An origin (scheme, host, port) has at most ``per_origin`` connections, the pool at most
   ``total``. A *permit* stands for one of them; it is held from before the connection is opened
   until after it is closed.
2. Of an origin's idle connections the one used last is taken first: it is the least likely to have
   been closed by the server, and the others get a chance to expire.
3. What comes back, a connection or a permit, goes to a waiter of its own origin, unless an origin
   for which only the total limit is in the way (a *starving* one) has waited for longer. Starving
   origins take turns.
4. When the total limit is reached, the connection that was idle longest makes room.

All of it is O(1): no step looks through all connections or all origins. (Waiters that gave up stay
in their queue until they reach its head; each is then skipped once.)
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from .connection import Connection
from .request import RequestTemplate
from .url import URL

Waiter = asyncio.Future[Connection | None]


class Origin:
    """What the pool knows about one origin; forgotten when it has no connection and no waiter."""

    __slots__ = ("idle", "key", "permits", "starving", "template", "waiters")

    def __init__(self, key: str, template: RequestTemplate) -> None:
        self.key = key
        self.template = template
        self.permits = 0
        self.starving = False
        self.idle: deque[Connection] = deque()
        # With each waiter its place in the queue of the whole pool.
        self.waiters: deque[tuple[int, Waiter]] = deque()

    def first_waiting(self) -> int | None:
        """The place of the first waiter that has not given up."""
        while self.waiters:
            place, waiter = self.waiters[0]
            if not waiter.done():
                return place
            self.waiters.popleft()
        return None


class Pool:
    """Keep-alive connections of one client. ``keep_alive`` is in seconds."""

    def __init__(
        self,
        template: Callable[[URL], RequestTemplate],
        *,
        total: int,
        per_origin: int,
        keep_alive: float,
    ) -> None:
        self._template = template
        self._total = total
        self._per_origin = per_origin
        self._keep_alive = keep_alive
        self._permits = 0
        self._queued = 0
        self._origins: dict[str, Origin] = {}
        # All idle connections, the one that was idle longest first.
        self._idle: OrderedDict[Connection, Origin] = OrderedDict()
        # Each starving origin once, the one whose turn it is first. One that is starving no longer
        # is passed over when its turn comes.
        self._starving: deque[Origin] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def open_connections(self) -> int:
        """Connections that are open or being opened."""
        return self._permits

    @property
    def idle_connections(self) -> int:
        """Connections that are open and not in use."""
        return len(self._idle)

    async def acquire(self, url: URL) -> tuple[Origin, Connection | None]:
        """The record of ``url``'s origin, and a connection to it, or None: a permit to open one.

        The connection must be given back by :meth:`put` or, closed, by :meth:`drop`; so must the
        permit if no connection came of it.
        """
        if self._closed:
            raise RuntimeError("the client is closed: make a new one to send more requests")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        # No other task comes in before the record has its permit or its waiter: one that has
        # neither is forgotten.
        origin = self._origins.get(url.origin)
        if origin is None:
            origin = self._origins[url.origin] = Origin(url.origin, self._template(url))
        if origin.idle:
            connection = origin.idle.pop()
            del self._idle[connection]
            return origin, connection
        if origin.permits >= self._per_origin:
            return origin, await self._wait(origin)
        if self._permits >= self._total and not self._evict():
            return origin, await self._wait(origin)
        origin.permits += 1
        self._permits += 1
        return origin, None

    def put(self, origin: Origin, connection: Connection) -> None:
        """Give back a connection that can be used again."""
        hungry = self._next_to_serve(origin)
        if hungry is origin:
            self._serve(origin, connection)
        elif hungry is not None:
            connection.close()
            self._pass_permit(origin, hungry)
        elif self._closed:
            connection.close()
            self._return_permit(origin)
        else:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            origin.idle.append(connection)
            self._idle[connection] = origin
            if self._reaper is None:
                self._reaper = loop.call_later(self._keep_alive, self._reap)

    def drop(self, origin: Origin) -> None:
        """Give back a permit: its connection is closed, or was never opened."""
        hungry = self._next_to_serve(origin)
        if hungry is origin:
            self._serve(origin, None)
        elif hungry is not None:
            self._pass_permit(origin, hungry)
        else:
            self._return_permit(origin)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        while self._idle:
            self._evict()

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to ``loop``; raises RuntimeError while there is another one."""
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("the client belongs to another event loop: make one for each loop")
        self._loop = loop
        self._reaper = None
        while self._evict():
            pass

    async def _wait(self, origin: Origin) -> Connection | None:
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._queued += 1
        origin.waiters.append((self._queued, waiter))
        self._mark_if_starving(origin)
        try:
            return await waiter
        except asyncio.CancelledError:
            # It may have been served in the very turn in which it was cancelled.
            if waiter.cancelled():
                self._forget_if_unused(origin)
            elif (connection := waiter.result()) is not None:
                self.put(origin, connection)
            else:
                self.drop(origin)
            raise

    def _next_to_serve(self, origin: Origin) -> Origin | None:
        """Whose waiter gets what ``origin`` gives back: its own, or a starving origin's."""
        own = origin.first_waiting()
        while self._starving:
            other = self._starving[0]
            place = other.first_waiting()
            if place is not None and other.permits < self._per_origin:
                if own is not None and own < place:
                    break
                self._starving.popleft()
                other.starving = False
                return other
            self._starving.popleft()
            other.starving = False
        return None if own is None else origin

    def _serve(self, origin: Origin, connection: Connection | None) -> None:
        """Hand the first waiter a connection, or the permit to open one."""
        _, waiter = origin.waiters.popleft()
        waiter.set_result(connection)
        self._mark_if_starving(origin)

    def _pass_permit(self, giver: Origin, taker: Origin) -> None:
        giver.permits -= 1
        taker.permits += 1
        self._serve(taker, None)
        self._mark_if_starving(giver)
        self._forget_if_unused(giver)

    def _mark_if_starving(self, origin: Origin) -> None:
        if origin.waiters and origin.permits < self._per_origin and not origin.starving:
            origin.starving = True
            self._starving.append(origin)

    def _evict(self) -> bool:
        """Close the connection that was idle longest; False if none is idle."""
        if not self._idle:
            return False
        connection, origin = self._idle.popitem(last=False)
        origin.idle.popleft()  # its oldest too, for both are in the order of coming back
        connection.close()
        self._return_permit(origin)
        return True

    def _return_permit(self, origin: Origin) -> None:
        origin.permits -= 1
        self._permits -= 1
        self._forget_if_unused(origin)

    def _forget_if_unused(self, origin: Origin) -> None:
        if origin.permits == 0 and origin.first_waiting() is None:
            self._origins.pop(origin.key, None)

    def _reap(self) -> None:
        """Close what was idle for too long and look again when the next one may be."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        while self._idle:
            due = next(iter(self._idle)).idle_since + self._keep_alive
            if due > loop.time():
                self._reaper = loop.call_at(due, self._reap)
                return
            self._evict()
