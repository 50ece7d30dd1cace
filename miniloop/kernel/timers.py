"""The timer queue: which call is due next.

A binary heap of tuples `(when, sequence, handle)`. Tuples because `heapq` then compares them in C;
the sequence number because two timers may share a deadline, and then the one that was scheduled
first fires first, and no comparison ever reaches the handle.

Invariants:

1. `entries[0]` has the earliest deadline, though it may be cancelled.
2. `cancelled` is the number of cancelled handles in the heap, exactly. They are never both more
   than `SWEEP_MINIMUM` and the larger half.

The trap: most timers of a real program are timeouts, and nearly all timeouts are cancelled. If
cancelled entries stayed until their deadline, a server with a one-hour idle timeout would keep an
hour's requests in memory. So when they are both many and the larger half, they are removed in one
pass (swept), which costs a constant time for each cancellation on average.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Protocol

__all__ = ["TimerQueue"]

# Below this many a sweep is not worth its pass: they will be popped soon enough.
SWEEP_MINIMUM = 100


class Timer(Protocol):
    """What the queue holds: the part of a `TimerHandle` that it uses."""

    _scheduled: bool  # True while the queue holds it

    @property
    def _when(self) -> float: ...
    @property
    def _callback(self) -> object: ...  # None once it is cancelled


class TimerQueue:
    """Timers in the order of their deadlines."""

    __slots__ = ("_sequence", "cancelled", "entries")

    def __init__(self) -> None:
        # Public to the scheduler, which looks at the first entry on every turn.
        self.entries: list[tuple[float, int, Timer]] = []
        self.cancelled = 0
        self._sequence = count()

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, handle: Timer) -> None:
        """Queue a handle until its deadline."""
        heappush(self.entries, (handle._when, next(self._sequence), handle))
        handle._scheduled = True

    def next_deadline(self) -> float | None:
        """The earliest deadline of a timer that is not cancelled; None if there is none."""
        entries = self.entries
        while entries:
            when, _, handle = entries[0]
            if handle._callback is not None:
                return when
            if handle._scheduled:
                handle._scheduled = False
                self.cancelled -= 1
            heappop(entries)
        return None

    def pop_due(self, deadline: float, enqueue: Callable[[Any], object]) -> None:
        """Hand every timer due at or before `deadline` to `enqueue`, earliest first."""
        entries = self.entries
        while entries and not entries[0][0] > deadline:  # NaN is due at once, as on asyncio
            handle = entries[0][2]
            # Queued first and taken from the heap then: should Ctrl-C strike between the two, the
            # flag says how far it came.
            if handle._scheduled:
                handle._scheduled = False
                if handle._callback is None:
                    self.cancelled -= 1
                else:
                    enqueue(handle)
            heappop(entries)
        if self.cancelled > SWEEP_MINIMUM:  # and perhaps the larger half of what is left
            self._sweep_if_most()

    def note_cancelled(self) -> None:
        """Count a handle of this queue that was just cancelled; sweep when they are too many."""
        self.cancelled += 1
        if self.cancelled > SWEEP_MINIMUM:
            self._sweep_if_most()

    def _sweep_if_most(self) -> None:
        if self.cancelled * 2 <= len(self.entries):
            return
        kept, swept = [], []
        for entry in self.entries:
            handle = entry[2]
            if handle._callback is None:
                swept.append(handle)
            else:
                kept.append(entry)
        heapify(kept)
        # Ctrl-C may strike before these two and after them, but not between.
        self.entries[:] = kept
        self.cancelled = 0
        for handle in swept:
            handle._scheduled = False

    def repair(self, ready: deque[Any]) -> None:
        """Finish what was interrupted: a timer is either in the heap or in the queue `ready`."""
        entries = self.entries
        while entries and not entries[0][2]._scheduled:
            handle = entries[0][2]
            if handle._callback is not None and id(handle) not in set(map(id, ready)):
                ready.append(handle)
            heappop(entries)
        self.cancelled = sum(handle._callback is None for _, _, handle in entries)

    def clear(self) -> None:
        """Forget every timer."""
        for _, _, handle in self.entries:
            handle._scheduled = False
        self.entries.clear()
        self.cancelled = 0
