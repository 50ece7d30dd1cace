"""A timer queue that tells recorders what becomes of its timers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from miniloop.kernel.timers import TimerQueue

__all__ = ["ObservedTimers"]


class Listener(Protocol):
    """The recorder that is told."""

    def timer_set(self, handle: Any) -> None: ...  # it has been put into the heap
    def timers_left(self) -> None: ...  # some that were cancelled have left it


class ObservedTimers(TimerQueue):
    """Stands in for a timer queue, which goes on doing the work."""

    __slots__ = ("inner", "listeners")

    def __init__(self, inner: TimerQueue) -> None:
        self.inner = inner
        self.entries = inner.entries  # the scheduler looks at the first one itself
        self.listeners: list[Listener] = []

    @property
    def cancelled(self) -> int:  # type: ignore[override]  # a slot of the class below
        """How many cancelled timers the heap has."""
        return self.inner.cancelled

    def add(self, handle: Any) -> None:
        """Queue a handle until its deadline."""
        self.inner.add(handle)
        for listener in self.listeners:
            listener.timer_set(handle)

    def next_deadline(self) -> float | None:
        """The earliest deadline; cancelled timers before it leave the heap."""
        before = self.inner.cancelled
        deadline = self.inner.next_deadline()
        self._tell(before)
        return deadline

    def pop_due(self, deadline: float, enqueue: Callable[[Any], object]) -> None:
        """Hand every timer that is due to `enqueue`."""
        before = self.inner.cancelled
        self.inner.pop_due(deadline, enqueue)
        self._tell(before)

    def note_cancelled(self) -> None:
        """Count one that was cancelled; all of them may be swept out by that."""
        before = self.inner.cancelled
        self.inner.note_cancelled()
        self._tell(before)

    def repair(self, ready: deque[Any]) -> None:
        """Finish what was interrupted."""
        self.inner.repair(ready)

    def clear(self) -> None:
        """Forget every timer."""
        self.inner.clear()

    def _tell(self, before: int) -> None:
        if self.inner.cancelled < before:
            for listener in self.listeners:
                listener.timers_left()
