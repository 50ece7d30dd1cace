"""The ready queue of a schedule: one entry a turn, which a chooser chooses.

The scheduler asks once a turn how many entries it is to run (`begin_turn`). Here the answer is 1,
and the chosen entry is at the head. Reordering whole turns would not be enough: a task could never
overtake another by more than one step.

What may be chosen. Each task is free. Callbacks of `call_soon` keep their order among themselves,
which asyncio documents, so only the oldest can be chosen. Timers keep the order of their deadlines.
Sockets and threads keep the order of arrival, which is one of many legal ones. So the candidates
are the tasks, and the oldest entry of each *lane*. Only the first `WINDOW` entries of the queue are
looked at.

Invariants:

1. The order of the queue is that of arrival: FIFO is to choose the first candidate, always.
2. No entry is passed over for more than `FAIRNESS` choices: a program that spins until another task
   has done something comes to its end.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Any, Protocol

from miniloop.kernel.handle import TimerHandle
from miniloop.kernel.task import Task
from miniloop.testing.errors import TooLong
from miniloop.testing.who import KEY, ROOT, Who, name_root, task_of, who_is, who_is_callback

__all__ = ["WINDOW", "Chooser", "ScheduledQueue"]

# Of so many entries at the head of the queue one is chosen.
WINDOW = 64
FAIRNESS = 400

TASK, SOON, TIMER, OUTSIDE = range(4)


class Chooser(Protocol):
    """Who decides what runs next."""

    def after_step(self, queue: ScheduledQueue) -> None:
        """An entry has run: `queue.last` and `queue.last_entry`.

        The moment for what is no choice among the ready: cancelling, or letting time pass.
        """

    def choose(self, queue: ScheduledQueue, candidates: list[Who], entries: list[Any]) -> int:
        """The index of the one to run; there are at least two."""

    def before_step(self, queue: ScheduledQueue, who: Who, entry: Any) -> None:
        """This one runs now; `who.runs` counts this run already."""


class ScheduledQueue(deque[Any]):
    """A ready queue for `EventLoop(ready=...)` that runs what `chooser` chooses."""

    def __init__(self, chooser: Chooser, most_steps: int) -> None:
        super().__init__()
        self.chooser = chooser
        self.most_steps = most_steps
        self.loop: Any = None  # the `LoopUnderTest` that is made with this queue
        self.arrived: set[int] = set()  # entries that came from outside and have not run
        self.steps = 0
        self.has_foreign_tasks = False  # of asyncio's own class
        self.free = False  # True: as any queue, from now on
        self.last = Who(ROOT)
        self.last_entry: Any = None
        self._handles: dict[int, Who] = {}
        self._passed_over: dict[int, int] = {}
        self._known = 0  # so many entries from the head were there before

    def begin_turn(self) -> int:
        """How many entries are to be run in this turn: the chosen one, at the head of the queue."""
        size = len(self)
        if self.free or not size:
            return size
        self.steps += 1
        if self.steps > self.most_steps:
            self.free = True
            self.loop.poller.stop_with(self._too_long)
            return 1
        chooser = self.chooser
        if size > self._known:
            self._welcome(size)
        if self.steps > 1:
            chooser.after_step(self)
            if len(self) > size:  # a task that was just cancelled is ready now
                self._known = size
                size = len(self)
                self._welcome(size)
        at = 0
        if size == 1:
            entry = self[0]
            who = self.who(entry)
        else:
            places, entries, candidates = self._candidates()
            if len(entries) == 1:
                index = 0
            else:
                index = self._overdue(entries)
                if index < 0:
                    index = chooser.choose(self, candidates, entries)
                if index:
                    self._pass_over(entries[:index])
            at, entry, who = places[index], entries[index], candidates[index]
        if at:
            del self[at]
            self.appendleft(entry)
        who.runs += 1
        number = id(entry)
        self._handles.pop(number, None)
        if self._passed_over:
            self._passed_over.pop(number, None)
        chooser.before_step(self, who, entry)
        if self.arrived:
            self.arrived.discard(number)
        self.last = who
        self.last_entry = entry if type(entry) is Task else task_of(entry) or entry
        self._known = size - 1
        return 1

    def _too_long(self) -> TooLong:
        return TooLong(f"still running after {self.most_steps} steps")

    def who(self, entry: Any) -> Who:
        """Who an entry in the queue is."""
        if isinstance(entry, Task):
            return who_is(entry, self.last)
        known = self._handles.get(id(entry))
        if known is None:
            known = self._handles[id(entry)] = self._label(entry, self.last)
        return known

    def _label(self, handle: Any, maker: Who) -> Who:
        """Who a handle is: a callback, or a step of a task of asyncio's own class."""
        task = task_of(handle)
        if task is None:
            return who_is_callback(handle, maker)
        self.has_foreign_tasks = True
        # If it has waited for something, it began before anybody saw it.
        return who_is(task, maker.root if handle._args else maker)

    def lane(self, entry: Any) -> int:
        """Which order an entry keeps; TASK keeps none."""
        if id(entry) in self.arrived:
            return OUTSIDE if task_of(entry) is None else TASK
        kind = type(entry)
        if kind is Task:
            return TASK
        if kind is TimerHandle:
            return TIMER
        if isinstance(entry, TimerHandle):
            return TIMER
        return SOON if task_of(entry) is None else TASK

    def is_late_by_nature(self, entry: Any) -> bool:
        """Whether it came from outside, and so may be late: timers, sockets, threads."""
        return id(entry) in self.arrived or isinstance(entry, TimerHandle)

    def moments_within(self, lateness: float) -> list[float]:
        """When, within so many seconds from now, timers are due or packets arrive."""
        moment = self.loop.poller.next_moment()
        now = self.loop.virtual_clock.now
        if moment is None or not moment - now <= lateness:
            return []
        moments = {
            when
            for when, _, timer in self.loop.timers.entries
            if timer._callback is not None and 0 < when - now <= lateness
        }
        if moment > now:
            moments.add(moment)
        return sorted(moments)

    def let_time_pass(self, deadlines: int) -> float:
        """The step that has just been taken was slow: so many deadlines have passed meanwhile.

        Gives how many seconds that were.
        """
        moments = self.moments_within(inf)[:deadlines]
        if not moments:
            return 0.0
        clock = self.loop.virtual_clock
        passed: float = moments[-1] - clock.now
        clock.now = moments[-1]
        # What was due as this turn began, and what had arrived, joins it.
        poller, enqueue = self.loop.poller, self.loop.enqueue
        poller.deliver(poller.wait(0), enqueue)
        self.loop.timers.pop_due(clock.now, enqueue)
        return passed

    def _welcome(self, size: int) -> None:
        """Label the new entries now, while it is known which task has made them."""
        last = self.last
        for place in range(self._known, size):
            entry = self[place]
            if self.steps == 1 and isinstance(entry, Task) and last.runs == 0:
                self.last = last = name_root(entry)
            if isinstance(entry, Task):
                who_is(entry, last)
            elif id(entry) not in self._handles:
                self._handles[id(entry)] = self._label(entry, last)

    def _candidates(self) -> tuple[list[int], list[Any], list[Who]]:
        places: list[int] = []
        entries: list[Any] = []
        candidates: list[Who] = []
        seen = 0
        for place, entry in enumerate(self):
            if place == WINDOW:
                break
            if type(entry) is Task:  # mostly; the code below does the same in twice the time
                places.append(place)
                entries.append(entry)
                candidates.append(entry.__dict__[KEY])
                continue
            lane = self.lane(entry)
            if not place and lane in (SOON, TIMER) and entry._callback is None:
                return [0], [entry], [self.who(entry)]  # it was cancelled, and does nothing
            if lane == TASK or not seen & (1 << lane):
                if lane != TASK:
                    seen |= 1 << lane
                places.append(place)
                entries.append(entry)
                candidates.append(self.who(entry))
        return places, entries, candidates

    def _pass_over(self, entries: list[Any]) -> None:
        counts = self._passed_over
        for entry in entries:
            counts[id(entry)] = counts.get(id(entry), 0) + 1

    def _overdue(self, entries: list[Any]) -> int:
        counts = self._passed_over
        if counts and counts.get(id(entries[0]), 0) >= FAIRNESS:
            return 0
        return -1
