"""For how long tasks wait: looked up once a second, and not noted at every step.

A task does not know when it was suspended, and to note it would cost something at each step. But
the future that it waits on is a new one each time. So a `Stopwatch` looks at all tasks once a
second, when the loop asks its poller, and remembers which future it has seen first when. While the
loop sleeps nothing changes, so the time at which it fell asleep is a bound for all tasks.

The poller's `wait` is replaced by that of the stopwatch; a loop without one pays nothing. With one
it is a reading of the clock for each visit to the kernel, and once a second 0.3 µs for each task.

The trap: to remember the future would keep it alive. The stopwatch refers to it weakly.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

from miniloop.loop import EventLoop

__all__ = ["Stopwatch", "keep_time", "waiting_since"]

INTERVAL = 1.0  # seconds between two looks


class Stopwatch:
    """The wait of a poller, with a look at the tasks before it."""

    def __init__(self, loop: EventLoop, wait: Callable[[float | None], Iterable[Any]]) -> None:
        self._loop = loop
        self._wait = wait
        self._looked = loop.time()
        self._asleep_since = self._looked
        self._seen: dict[int, tuple[weakref.ref[Any], float]] = {}  # by the id of the task

    def wait(self, timeout: float | None) -> Iterable[Any]:
        """As the poller's own."""
        now = self._asleep_since = self._loop.time()
        if now - self._looked >= INTERVAL:
            self._look(now)
        return self._wait(timeout)

    def _look(self, now: float) -> None:
        self._looked = now
        seen: dict[int, tuple[weakref.ref[Any], float]] = {}
        for task in list(self._loop.tasks):
            awaited = task._fut_waiter
            if awaited is not None:
                reference = weakref.ref(awaited)
                known = self._seen.get(id(task))
                same = known is not None and known[0] is reference
                seen[id(task)] = known if known is not None and same else (reference, now)
        self._seen = seen

    def since(self, task: Any) -> float | None:
        """When `task` waited already for what it waits for now; None if that cannot be said."""
        known = self._seen.get(id(task))
        if known is not None and known[0]() is task._fut_waiter:
            return known[1]
        return self._asleep_since if self._loop.asleep else None


def keep_time(loop: EventLoop) -> None:
    """Have the reports on `loop` say for how long its tasks wait, exact to a second.

    Takes effect when the loop is run the next time.
    """
    parts = vars(loop.poller)
    if "stopwatch" not in parts:
        stopwatch = Stopwatch(loop, loop.poller.wait)
        parts.update(stopwatch=stopwatch, wait=stopwatch.wait)


def waiting_since(loop: Any, task: Any) -> float | None:
    """The time of `loop` at which `task` waited already; None if nobody has kept the time."""
    stopwatch = getattr(getattr(loop, "poller", None), "stopwatch", None)
    return stopwatch.since(task) if isinstance(stopwatch, Stopwatch) else None
