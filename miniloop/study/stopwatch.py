"""For how long tasks wait: sampled once a second, and not noted at every step.

A task does not know when it was suspended, and to note it would cost something at each step. But
the future that it waits on is a new one each time. So a `Stopwatch` looks at all tasks once a
second, when the loop asks its poller, and remembers when it first saw each future. While the loop
sleeps nothing changes, so every task has waited at least since the loop fell asleep.

It is an observer at the joint of that wait; a loop without one pays nothing. With one, each poll
costs a reading of the clock, and once a second a look at each task.

The trap: to remember the future would keep it alive. The stopwatch refers to it weakly.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from miniloop.kernel.joints import Joints
from miniloop.loop import EventLoop

__all__ = ["Stopwatch", "keep_time", "waiting_since"]

INTERVAL = 1.0  # seconds between two looks


class Stopwatch:
    """An observer: now and then it looks at the tasks, before the loop waits."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._looked = loop.time()
        self._asleep_since = self._looked
        self._seen: dict[int, tuple[weakref.ref[Any], float]] = {}  # by the id of the task

    def join(self, joints: Joints) -> Joints:
        """See `joints.Observer`."""
        return joints._replace(wait=functools.partial(self._wait, joints.wait))

    def run_ended(self) -> None:
        """See `joints.Observer`."""

    def _wait(self, wait: Callable[[float | None], Any], timeout: float | None) -> Any:
        now = self._asleep_since = self._loop.time()
        if now - self._looked >= INTERVAL:
            self._look(now)
        return wait(timeout)

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
        """A time at which `task` had begun its present wait; None if none is known."""
        known = self._seen.get(id(task))
        if known is not None and known[0]() is task._fut_waiter:
            return known[1]
        return self._asleep_since if self._loop.asleep else None


def keep_time(loop: EventLoop) -> None:
    """Have the reports on `loop` say for how long its tasks wait, exact to a second."""
    if _stopwatch_of(loop) is None:
        loop.observe(Stopwatch(loop))


def waiting_since(loop: object, task: Any) -> float | None:
    """As `Stopwatch.since`, on the clock of `loop`; None if it has no stopwatch."""
    stopwatch = _stopwatch_of(loop)
    return None if stopwatch is None else stopwatch.since(task)


def _stopwatch_of(loop: object) -> Stopwatch | None:
    for observer in getattr(loop, "_observers", ()):
        if isinstance(observer, Stopwatch):
            return observer
    return None
