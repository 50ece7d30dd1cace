"""Another timer queue."""

from __future__ import annotations

from heapq import heappush
from typing import Any

from miniloop import EventLoop
from miniloop.kernel.timers import TimerQueue

__all__ = ["with_objects_in_the_heap"]


class Entry:
    """What the heap holds here: compared by a method, as asyncio's timer handles are."""

    __slots__ = ("handle", "sequence", "when")

    def __init__(self, when: float, sequence: int, handle: Any) -> None:
        self.when = when
        self.sequence = sequence
        self.handle = handle

    def __lt__(self, other: Entry) -> bool:
        if self.when == other.when:
            return self.sequence < other.sequence
        return self.when < other.when

    def __getitem__(self, place: int) -> Any:
        """For the queue, which takes its entries for tuples."""
        return (self.when, self.sequence, self.handle)[place]


class ObjectQueue(TimerQueue):
    """A heap of objects. Reading one costs a call more than it needs to."""

    __slots__ = ()

    def add(self, handle: Any) -> None:
        """Queue a handle until its deadline."""
        entries: list[Any] = self.entries
        heappush(entries, Entry(handle._when, next(self._sequence), handle))
        handle._scheduled = True


def with_objects_in_the_heap() -> EventLoop:
    """A loop whose timers are compared by Python code."""
    loop = EventLoop()
    loop.timers = ObjectQueue()
    return loop
