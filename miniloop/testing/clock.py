"""The virtual clock: its time passes only when it is set.

The poller moves it when nothing else can happen; the queue of a schedule moves it when a step is to
be slow. So nothing depends on the machine, and an hour takes no time.
"""

from __future__ import annotations

__all__ = ["VirtualClock"]


class VirtualClock:
    """A clock for `EventLoop(clock=...)`; `now` is its time, in seconds."""

    __slots__ = ("now",)

    def __init__(self, start: float = 0.0) -> None:
        self.now = start

    def __call__(self) -> float:
        """The time."""
        return self.now
