"""`shuffle`: any loop of ours, with real time and real I/O, in a random legal order.

For programs that cannot be run under a schedule: a whole test suite, a server with real clients. A
run cannot be minimised or replayed, as the world outside differs in each run. But a program that
sometimes fails under it relies on an order that nothing promises.

The order is legal in the same way as that of a schedule (see `queue`). Each turn runs as many
entries as were ready when it began, as `loop.stop` waits for these. Each is chosen when it is about
to be taken, among all that are ready by then.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from miniloop.kernel.handle import TimerHandle
from miniloop.kernel.joints import Joints
from miniloop.kernel.recovery import snapshot
from miniloop.loop import EventLoop
from miniloop.testing.queue import WINDOW
from miniloop.testing.who import task_of

__all__ = ["Shuffle", "shuffle"]

SOON, TIMER, OUTSIDE = 1, 2, 4


def shuffle(loop: EventLoop, seed: int) -> Shuffle:
    """Have `loop` run what is ready in a random legal order, from its next turn on.

    `loop.unobserve` of what is returned ends it.
    """
    order = Shuffle(loop, seed)
    loop.observe(order)
    return order


class Shuffle:
    """An observer that chooses what is taken next."""

    def __init__(self, loop: EventLoop, seed: int) -> None:
        self._loop = loop
        self._random = random.Random(seed)
        self._arrived: set[int] = set()
        self.departures = 0  # from FIFO, so far

    def join(self, joints: Joints) -> Joints:
        """Choose before an entry is taken; queue no entry twice that has been passed over."""
        before = joints.before_taking

        def choose(ready: deque[Any]) -> deque[Any]:
            self._choose(ready)
            return ready if before is None else before(ready)

        def deliver(events: Iterable[tuple[int, int]], enqueue: Callable[[Any], object]) -> object:
            return self._deliver(joints.deliver, events, enqueue)

        return joints._replace(before_taking=choose, deliver=deliver)

    def run_ended(self) -> None:
        """Does nothing."""

    def _choose(self, ready: deque[Any]) -> None:
        entries = snapshot(ready)
        if len(entries) > 1 and not self._loop._stopping:
            places = self._candidates(entries[:WINDOW])
            place = places[int(self._random.random() * len(places))]
            if place:
                entry = entries[place]
                del ready[place]
                ready.appendleft(entry)
                self.departures += 1
        if self._arrived and ready:
            self._arrived.discard(id(ready[0]))

    def _candidates(self, entries: list[Any]) -> list[int]:
        """The places of all tasks, and of the oldest of each lane."""
        places = []
        lanes = 0
        for place, entry in enumerate(entries):
            if task_of(entry) is None:
                lane = (
                    OUTSIDE
                    if id(entry) in self._arrived
                    else TIMER
                    if isinstance(entry, TimerHandle)
                    else SOON
                )
                if lanes & lane:
                    continue
                lanes |= lane
            places.append(place)
        return places

    def _deliver(
        self,
        deliver: Callable[[Any, Callable[[Any], object]], object],
        events: Iterable[tuple[int, int]],
        enqueue: Callable[[Any], object],
    ) -> object:
        ready = self._loop._ready
        queued = set(map(id, snapshot(ready)))
        fresh = [event for event in events if not self._is_queued(event[0], queued)]
        result = deliver(fresh, enqueue)
        self._arrived.update(set(map(id, snapshot(ready))) - queued)
        return result

    def _is_queued(self, fd: int, queued: set[int]) -> bool:
        watch = self._loop.poller.watches.get(fd)
        return watch is not None and (id(watch.reader) in queued or id(watch.writer) in queued)
