"""Threads count as work: what they do, and what they hand to the loop, in a world of virtual time.

Time must not jump while a thread runs a call of the program (`to_thread`, `run_in_executor`). And
threads hand over at arbitrary moments, which no schedule could repeat. So what they hand over waits
in `inbox`, and the loop takes it when it has nothing else to do. Calls that end within `TOGETHER`
seconds of each other are taken in the order in which they were made.

Invariants:

1. A call counts as running until its result is in the inbox, or is known to be unwanted.
2. A thread that runs a call and has handed something over may be waiting for the loop. It holds up
   time no longer than `CONVERSATION` seconds.

The trap: a program may have threads of its own, and we cannot know whether they are at work or
idle, as that of a database usually is. So before each jump they are given `PATIENCE` real seconds,
and before the run is given up `LAST_PATIENCE`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Threads"]

# Real seconds.
TOGETHER = 0.05
CONVERSATION = 0.05
PATIENCE = 0.02
LAST_PATIENCE = 1.0


class Threads:
    """The threads of one run, as seen by its loop."""

    def __init__(self, nudge: Callable[[], object]) -> None:
        self.inbox: deque[tuple[int, Any]] = deque()
        self._nudge = nudge  # wakes a loop that sleeps in the kernel
        self._changed = threading.Condition()
        self._calls = 0  # made so far
        self._running: set[int] = set()
        self._talking: set[int] = set()  # those among them that have handed something over
        self._here = threading.local()
        self._before = threading.active_count()
        self._ours: set[int] = set()  # the threads that have run a call

    # In the loop's thread.

    def begin(self, *, is_the_loops_own: bool = False) -> int:
        """A call is to be run; gives its number. One of the loop's own waits for the others."""
        self._calls += 1
        with self._changed:
            self._running.add(self._calls)
            if is_the_loops_own:
                self._talking.add(self._calls)
        return self._calls

    @property
    def busy(self) -> bool:
        """Whether a call runs that time has to wait for."""
        return bool(self._running)

    def has_others(self) -> bool:
        """Whether there are threads, begun in this run, that run no call of the loop's."""
        return threading.active_count() > self._before + len(self._ours)

    def wait(self) -> bool:
        """Sleep until something is handed over.

        Gives False if every call that runs may be waiting for the loop.
        """
        with self._changed:
            while not self.inbox:
                if not self._running:
                    return True
                patience = CONVERSATION if self._running <= self._talking else None
                if not self._changed.wait(patience) and patience is not None:
                    return False
        return True

    def settle(self) -> None:
        """Something was handed over: wait a little for what other calls bring."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running - self._talking, TOGETHER)

    def wait_for_other_threads(self, last: bool) -> bool:
        """Give them a moment; `last`: there will not be another. Whether something came."""
        with self._changed:
            return self._changed.wait_for(
                lambda: bool(self.inbox), LAST_PATIENCE if last else PATIENCE
            )

    def take(self) -> list[Any]:
        """What was handed over, in the order of the calls."""
        with self._changed:
            handed, self.inbox = sorted(self.inbox, key=lambda pair: pair[0]), deque()
        return [entry for _, entry in handed]

    # In any thread.

    def call(
        self, number: int, awaited: threading.Event, function: Callable[..., Any], *args: Any
    ) -> Any:
        """Run a call in a thread of a pool.

        It does not end before the loop waits for it, or its result would not be handed over.
        """
        self._here.number = number
        self._ours.add(threading.get_ident())
        try:
            return function(*args)
        finally:
            awaited.wait()

    def ended(self, number: int) -> None:
        """The call has ended, and what it brings was handed over."""
        with self._changed:
            self._running.discard(number)
            self._talking.discard(number)
            self._changed.notify_all()
        self._nudge()

    def hand_over(self, entry: Any) -> None:
        """Have the loop run `entry` soon."""
        number = getattr(self._here, "number", 0)
        with self._changed:
            self.inbox.append((number, entry))
            if number in self._running:
                self._talking.add(number)
            self._changed.notify_all()
        self._nudge()
