"""The wire: what is under way between two hosts, and when it arrives.

Time here is the loop's, but no timers of the loop are used: packets arrive in the first phase of a
turn, inside the poller, as with a real kernel. So a program's own queue and timers are
what they would be on a real network.

A `Link` says how one host is reached from another. A `Passage` is one direction of one connection:
all that is put into it arrives, in order, however long it takes. While the hosts cannot reach each
other what was sent is sent again, after 0.2, 0.6, 1.4 ... seconds (each pause is twice the one
before, up to two minutes), and after 15 times the sender gives up. These are the figures of Linux.

Source: tcp(7), `tcp_retries2`; RFC 6298.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GIVE_UP_AFTER", "LOOPBACK", "Flight", "Link", "Passage", "Road", "Wire"]

# Seconds: the first pause before something is sent again, and the longest.
FIRST_RETRY = 0.2
LONGEST_RETRY = 120.0
MOST_RETRIES = 15


def retransmissions() -> Iterator[float]:
    """When something is sent again, in seconds after it was sent first."""
    pause, when = FIRST_RETRY, 0.0
    for _ in range(MOST_RETRIES):
        when += pause
        pause = min(2 * pause, LONGEST_RETRY)
        yield when


# Seconds; with tcp_retries2 = 15 Linux computes 924.6.
GIVE_UP_AFTER = 924.6


@dataclass(frozen=True)
class Link:
    """How packets get from one host to another.

    `latency` and `jitter` are seconds: each packet takes the first, and up to the second more.
    `bandwidth` is in bytes a second, None for as many as there are. `loss`, `duplicates` and
    `reordering` are probabilities (0..1), and concern datagrams only: TCP would hide them.
    """

    latency: float = 0.001
    jitter: float = 0.0
    bandwidth: float | None = None
    loss: float = 0.0
    duplicates: float = 0.0
    reordering: float = 0.0

    def __post_init__(self) -> None:
        for name in ("latency", "jitter"):
            seconds = getattr(self, name)
            if not seconds >= 0:
                raise ValueError(f"{name} must be 0 seconds or more, got {seconds!r}")
        if self.bandwidth is not None and not self.bandwidth > 0:
            raise ValueError(f"bandwidth must be positive, got {self.bandwidth!r}")
        for name in ("loss", "duplicates", "reordering"):
            chance = getattr(self, name)
            if not 0 <= chance <= 1:
                raise ValueError(f"{name} must be a probability, 0..1, got {chance!r}")


# How a host reaches itself.
LOOPBACK = Link(latency=0.0)


class Flight:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("what",)

    def __init__(self, what: Callable[[], object]) -> None:
        self.what: Callable[[], object] | None = what

    def cancel(self) -> None:
        """It will not happen; harmless if it has."""
        self.what = None


class Wire:
    """Everything that will happen on the network, in the order of time."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.clock: Callable[[], float] = lambda: 0.0  # until the network has a loop
        self._flights: list[tuple[float, int, Flight]] = []
        self._numbers = count()

    def at(self, when: float, what: Callable[[], object]) -> Flight:
        """Have `what()` happen at that time; of two with one time the first comes first."""
        flight = Flight(what)
        heapq.heappush(self._flights, (when, next(self._numbers), flight))
        return flight

    def after(self, delay: float, what: Callable[[], object]) -> Flight:
        """Have `what()` happen in `delay` seconds."""
        return self.at(self.clock() + delay, what)

    def next_arrival(self) -> float | None:
        """When something happens next, None if nothing will."""
        flights = self._flights
        while flights and flights[0][2].what is None:
            heapq.heappop(flights)
        return flights[0][0] if flights else None

    def run_due(self) -> bool:
        """Let all happen whose time has come. False if that was nothing."""
        flights, now = self._flights, self.clock()
        if not flights or flights[0][0] > now:
            return False
        while flights and flights[0][0] <= now:
            what = heapq.heappop(flights)[2].what
            if what is not None:
                what()
        return True


class Road:
    """One direction between two hosts: what all that travels there has in common."""

    def __init__(self, wire: Wire, link: Link) -> None:
        self.wire = wire
        self.link = link
        self.obstacles: set[str] = set()  # while there is one, nothing gets through
        self._busy_until = 0.0
        self.stalled: dict[Passage, None] = {}  # in the order in which they noticed

    def arrival(self, size: int) -> float:
        """When a packet of `size` bytes arrives that is sent now."""
        link, start = self.link, self.wire.clock()
        if link.bandwidth is not None:
            start = self._busy_until = max(start, self._busy_until) + size / link.bandwidth
        delay = link.latency
        if link.jitter:
            delay += link.jitter * self.wire.random.random()
        return start + delay

    def cut(self, reason: str) -> None:
        """Let nothing through, until all reasons for that are gone."""
        self.obstacles.add(reason)

    def mend(self, reason: str) -> None:
        """One reason less."""
        self.obstacles.discard(reason)
        if not self.obstacles:
            stalled, self.stalled = self.stalled, {}
            for passage in stalled:
                passage.resume()


class Passage:
    """One direction of one connection: what is put in comes out in order, perhaps late."""

    def __init__(self, road: Road, give_up: Callable[[], object]) -> None:
        self._road = road
        self._give_up = give_up  # called when the sender has tried for long enough
        self._queue: deque[tuple[float, bool, Callable[[], object]]] = deque()
        self._last_arrival = 0.0
        self._stalled_at: float | None = None
        self._giving_up: Flight | None = None  # unless the way is free before
        self._closed = False

    def send(self, size: int, arrive: Callable[[], object], *, insist: bool) -> None:
        """Have `arrive()` called at the other end. `insist` on what must be acknowledged."""
        if self._closed:
            return
        when = self._last_arrival = max(self._last_arrival, self._road.arrival(size))
        self._queue.append((when, insist, arrive))
        self._road.wire.at(when, self._deliver)
        if insist and self._stalled_at is not None:
            self._give_up_later()

    def close(self) -> None:
        """The sender is no more: what is under way arrives if it can, and nothing is repeated."""
        self._closed = True
        if self._stalled_at is not None:
            self._forget()

    def _deliver(self) -> None:
        """Something may be due; take it from the head of the queue, whatever it is."""
        wire = self._road.wire
        while self._queue and self._queue[0][0] <= wire.clock() and self._stalled_at is None:
            if self._road.obstacles:
                self._stall()
                return
            self._queue.popleft()[2]()

    def _stall(self) -> None:
        if self._closed:
            self._queue.clear()  # nobody is there to send it again
            return
        self._stalled_at = self._road.wire.clock()
        self._road.stalled[self] = None
        if any(insist for _, insist, _ in self._queue):
            self._give_up_later()

    def _give_up_later(self) -> None:
        if self._giving_up is None:
            self._giving_up = self._road.wire.after(GIVE_UP_AFTER, self._end)

    def _end(self) -> None:
        self._closed = True
        self._forget()
        self._give_up()

    def _forget(self) -> None:
        self._queue.clear()
        self._road.stalled.pop(self, None)
        self._go_on()

    def _go_on(self) -> None:
        self._stalled_at = None
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def resume(self) -> None:
        """The way is free: what is held up arrives when it is sent again the next time."""
        start, now = self._stalled_at, self._road.wire.clock()
        assert start is not None
        pauses = (pause for pause in retransmissions() if start + pause >= now)
        self._road.wire.at(start + next(pauses, now - start), self._try_again)

    def _try_again(self) -> None:
        self._go_on()
        self._deliver()
