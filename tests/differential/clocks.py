"""One virtual order of events: time that jumps, turns that are counted, ties that are settled.

*Time* is a number that moves only when a loop would sleep, and then to the very moment at which it
asked to be woken. Programs that take an hour take none, and nothing depends on the machine.

*Turns* are counted by the ready queue itself: just before a loop runs what is in it, ours asks it
to `begin_turn`, and asyncio's, once a turn, for its length. Only turns that run something count; a
loop may look at the kernel for nothing as often as it likes.

*Ties*: asyncio keeps its timers in a heap that compares deadlines only, so among equal ones the
order is whatever the heap makes of it, and its asynchronous generators in a set, so they are closed
in any order. miniloop promises that the first one comes first. Here asyncio is made to do the same.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from itertools import count
from typing import Any

import miniloop
from miniloop.kernel.poller import Poller, Watch
from tests.differential.ordered import OrderedSet

__all__ = ["LOOPS", "Clock", "ReadyQueue", "RunsAway", "virtual_asyncio", "virtual_miniloop"]

# No program that ends takes this many turns.
MOST_TURNS = 5000


class RunsAway(BaseException):
    """The program, or the loop, does not come to an end."""


class Clock:
    """Seconds that pass only when a loop waits."""

    def __init__(self) -> None:
        self.now = 0.0
        # What happens from outside while a loop sleeps, and when: the last one first.
        self.knocks: list[tuple[float, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float | None, stop: Callable[[], object]) -> None:
        """What a loop's sleep becomes: a jump, or the end if it would sleep for ever."""
        if timeout is not None and timeout <= 0:
            return
        if self.knocks and (timeout is None or self.knocks[-1][0] < self.now + timeout):
            when, knock = self.knocks.pop()
            self.now = max(self.now, when)
            knock()
        elif timeout is None:
            stop()
        else:
            self.now += timeout


class ReadyQueue(deque[Any]):
    """A ready queue that counts turns, and lets something happen just before one."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0
        self.before_turn: Callable[[int], object] = lambda turn: None

    def __bool__(self) -> bool:
        return deque.__len__(self) > 0

    def __len__(self) -> int:
        return self.begin_turn()

    def begin_turn(self) -> int:
        """Count the turn; how many entries it will run."""
        if any(not entry.cancelled() for entry in self):
            self.turn += 1
            if self.turn > MOST_TURNS:
                raise RunsAway(f"still running after {MOST_TURNS} turns")
            self.before_turn(self.turn)
        return deque.__len__(self)


class VirtualPoller(Poller):
    """A poller for miniloop that never sleeps, and to whose files nothing ever happens."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.stop: Callable[[], object] = lambda: None

    def wait(self, timeout: float | None) -> Iterable[tuple[int, int]]:
        self._clock.wait(timeout, self.stop)
        return ()

    def close(self) -> None:
        self.watches.clear()

    def _apply(self, watch: Watch) -> None:
        self.watches[watch.fd] = watch


class VirtualSelector(selectors._BaseSelectorImpl):
    """The same for asyncio."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.stop: Callable[[], object] = lambda: None

    def select(self, timeout: float | None = None) -> list[Any]:
        self._clock.wait(timeout, self.stop)
        return []


class OrderedTimer(asyncio.TimerHandle):
    """A timer that fires after those with the same deadline that were scheduled before it."""

    __slots__ = ("sequence",)
    sequence: int

    def __lt__(self, other: Any) -> bool:
        return (self._when, self.sequence) < (other._when, other.sequence)


def _do_nothing(future: object) -> None:
    """What is called in place of the callback that would stop the loop."""


class VirtualSelectorLoop(asyncio.SelectorEventLoop):
    """Stock asyncio on a virtual clock."""

    def __init__(self, clock: Clock, ready: ReadyQueue) -> None:
        self._clock = clock
        self._timers_made = count()
        selector = VirtualSelector(clock)
        super().__init__(selector)
        selector.stop = self.stop
        self._ready = ready
        # Weakly, and in the order in which they began; the original is a set, without any.
        self._asyncgens.data = OrderedSet()  # type: ignore[attr-defined]

    def run_forever(self) -> None:
        """As ever; but what an interrupted run leaves behind must not end the next one.

        Here ours differs: see `test_a_run_that_ctrl_c_ends_does_not_end_the_next_one`. What a run
        left that was told to stop in its last turn does end the next one, on both.
        """
        # (Not `list(ready)`, which asks for its length and so would count a turn.)
        of_earlier_runs = {id(entry): entry for entry in self._ready}
        try:
            super().run_forever()
        except BaseException:
            for entry in self._ready:
                of_this_run = id(entry) not in of_earlier_runs
                if of_this_run and entry._callback is asyncio.base_events._run_until_complete_cb:
                    entry._callback = _do_nothing
            raise

    def time(self) -> float:
        return self._clock.now

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = OrderedTimer(when, callback, args, self, context)
        timer.sequence = next(self._timers_made)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer


def virtual_asyncio(clock: Clock, ready: ReadyQueue) -> asyncio.AbstractEventLoop:
    """asyncio's own loop, with its C-accelerated futures and tasks."""
    return VirtualSelectorLoop(clock, ready)


def virtual_miniloop(clock: Clock, ready: ReadyQueue) -> asyncio.AbstractEventLoop:
    """miniloop, with other parts in the place of the usual ones."""
    poller = VirtualPoller(clock)
    loop = miniloop.EventLoop(poller=poller, clock=clock, ready=ready)
    poller.stop = loop.stop
    return loop


LOOPS: dict[str, Callable[[Clock, ReadyQueue], asyncio.AbstractEventLoop]] = {
    "asyncio": virtual_asyncio,
    "miniloop": virtual_miniloop,
}
