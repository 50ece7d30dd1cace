"""Choosers: by a schedule, at random, or by priorities.

A `Following` chooser does what a schedule says and is FIFO otherwise. The others decide by
themselves. They note their decisions as holds, so that each of their runs has a schedule too.

Why holds are enough: say that an entry was first passed over at choice `a`, and run at choice `b`.
Hold it back for `b - a` choices. Then at each choice all candidates before the one that was chosen
are held, since they run later; and the one that was chosen is not. So it is the first that may run.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf
from typing import Any

from miniloop.kernel.task import Task
from miniloop.testing.queue import ScheduledQueue
from miniloop.testing.schedule import (
    CANCEL_READY,
    CANCEL_WAITING,
    HOLD,
    LATE,
    Departure,
    Schedule,
)
from miniloop.testing.who import ROOT, Who, task_of

__all__ = ["Cancelling", "Following", "LateWalk", "Priorities", "RandomWalk"]

Cancelling = Callable[[Task[Any]], bool]

# The probability with which a random walk lets time pass, or cancels, where it can.
LATE_RATE = 0.05
CANCEL_RATE = 0.03

# The most timers that one slow step makes due.
MOST_DEADLINES = 3


def _has_begun(who: Who, entry: Any) -> bool:
    """Whether it stands at an `await`: a step of it was seen, or it took its first one eagerly."""
    if who.runs > 1:
        return True
    task = task_of(entry)
    return task is not None and getattr(task._coro, "cr_suspended", False)


class Following:
    """Follows a schedule, and notes where others could depart from FIFO (`sites`)."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        lateness: float = 0.0,
        cancels: Cancelling | None = None,
        observe: bool = False,
    ) -> None:
        self.schedule = schedule
        self.world = schedule.world
        self._holds: dict[tuple[str, int], int] = {}
        self._late: dict[tuple[str, int], int] = {}
        self._cancels: dict[tuple[str, int], str] = {}
        for each in schedule:
            key = (each.who, each.run)
            if each.kind == HOLD:
                self._holds[key] = each.length
            elif each.kind == LATE:
                self._late[key] = max(each.length, 1)
            else:
                self._cancels[key] = each.kind
        self._anonymous = any(not each.who for each in schedule)
        self._held: dict[int, float] = {}  # entry: the step from which it may run
        self._lateness = lateness
        self._may_cancel = cancels
        self._observe = observe
        self.sites: list[Departure] = []
        self.has_cancelled = False
        # What was held back, from which step on, and for how long it was in the end.
        self.lengths: dict[tuple[str, int], int] = {}
        self._begun: dict[int, tuple[tuple[str, int], int]] = {}

    def after_step(self, queue: ScheduledQueue) -> None:
        """Let time pass, or cancel, if the schedule says so."""
        last, entry = queue.last, queue.last_entry
        key = (last.label, last.runs)
        if self._observe:
            self._note_sites(queue, last, entry)
        if self._late:
            deadlines = self._late.get(key) or self._late.get(("", queue.steps))
            if deadlines:
                self._lateness -= queue.let_time_pass(deadlines)
        if self._cancels and self._cancels.get(key) == CANCEL_WAITING:
            self._cancel(queue, CANCEL_WAITING, last, entry)

    def choose(self, queue: ScheduledQueue, candidates: list[Who], entries: list[Any]) -> int:
        """The first that is not held back."""
        if self._observe:
            who = candidates[0]
            self.sites.append(Departure(HOLD, who.label, who.runs + 1))
        if not self._holds and not self._held:
            return 0
        step = queue.steps
        for index, entry in enumerate(entries):
            number = id(entry)
            until = self._held.get(number)
            if until is None:
                who = candidates[index]
                key = (who.label, who.runs + 1)
                length = self._holds.get(key)
                if length is None and self._anonymous:
                    length = self._holds.get(("", step))
                if length is None:
                    return index
                until = self._held[number] = step + length if length else inf
                self._begun[number] = (key, step)
                self.hold_begins(queue, candidates[index], entry)
            if step >= until:
                return index
        return 0

    def before_step(self, queue: ScheduledQueue, who: Who, entry: Any) -> None:
        """Forget that it was held back; cancel it, if the schedule says so."""
        if self._held:
            number = id(entry)
            self._held.pop(number, None)
            begun = self._begun.pop(number, None)
            if begun is not None:
                self.lengths[begun[0]] = queue.steps - begun[1]
        if self._cancels and self._cancels.get((who.label, who.runs)) == CANCEL_READY:
            self._cancel(queue, CANCEL_READY, who, entry)
        if self._observe and self._can_cancel(who, entry) and _has_begun(who, entry):
            self.sites.append(Departure(CANCEL_READY, who.label, who.runs))

    def _note_sites(self, queue: ScheduledQueue, last: Who, entry: Any) -> None:
        if self._lateness > 0:
            moments = queue.moments_within(self._lateness)
            for number in range(1, min(len(moments), MOST_DEADLINES) + 1):
                self.sites.append(Departure(LATE, last.label, last.runs, number))
        if self._can_cancel(last, entry) and not entry.done():
            self.sites.append(Departure(CANCEL_WAITING, last.label, last.runs))

    def _can_cancel(self, who: Who, entry: Any) -> bool:
        return (
            self._may_cancel is not None
            and (task := task_of(entry)) is not None
            and who.label != ROOT
            and self._may_cancel(task)
        )

    def _cancel(self, queue: ScheduledQueue, kind: str, who: Who, entry: Any) -> None:
        task = task_of(entry)
        if task is not None and not task.done():
            self.has_cancelled = True
            self.cancelled(queue, kind, who, task)
            task.cancel()

    def hold_begins(self, queue: ScheduledQueue, who: Who, entry: Any) -> None:
        """An entry is held back from now on; for whoever writes a trace."""

    def cancelled(self, queue: ScheduledQueue, kind: str, who: Who, task: Any) -> None:
        """A task is about to be cancelled; for whoever writes a trace."""


class _Deciding:
    """The base of the choosers that decide by themselves: it notes their holds."""

    def __init__(
        self,
        generator: random.Random,
        lateness: float,
        cancels: Cancelling | None,
        world: int = 0,
    ) -> None:
        self.world = world
        self._random = generator
        self._lateness = lateness
        self._may_cancel = cancels
        self.has_cancelled = False
        self.departures: list[Departure] = []
        self._passed_over: dict[int, int] = {}

    def after_step(self, queue: ScheduledQueue) -> None:
        last, entry = queue.last, queue.last_entry
        if self._lateness > 0 and self.wants_lateness(queue):
            moments = queue.moments_within(self._lateness)[:MOST_DEADLINES]
            if moments:
                number = 1 + int(self._random.random() * len(moments))
                self.departures.append(Departure(LATE, last.label, last.runs, number))
                self._lateness -= queue.let_time_pass(number)
        if self._wants_to_cancel(last, entry) and not entry.done():
            self.departures.append(Departure(CANCEL_WAITING, last.label, last.runs))
            self.has_cancelled = True
            entry.cancel()

    def before_step(self, queue: ScheduledQueue, who: Who, entry: Any) -> None:
        if self._passed_over:
            since = self._passed_over.pop(id(entry), None)
            if since is not None:
                length = queue.steps - since
                self.departures.append(Departure(HOLD, who.label, who.runs, length))
        if self._may_cancel and _has_begun(who, entry) and self._wants_to_cancel(who, entry):
            self.departures.append(Departure(CANCEL_READY, who.label, who.runs))
            self.has_cancelled = True
            task_of(entry).cancel()

    def _wants_to_cancel(self, who: Who, entry: Any) -> bool:
        return (
            self._may_cancel is not None
            and (task := task_of(entry)) is not None
            and who.label != ROOT
            and self._random.random() < CANCEL_RATE
            and self._may_cancel(task)
        )

    def wants_lateness(self, queue: ScheduledQueue) -> bool:
        """Whether time should pass now, if it can."""
        return self._random.random() < LATE_RATE

    def note(self, queue: ScheduledQueue, passed_over: list[Any]) -> None:
        """Remember since when they have been passed over."""
        for entry in passed_over:
            self._passed_over.setdefault(id(entry), queue.steps)

    @property
    def schedule(self) -> Schedule:
        """The schedule of the run, as far as it has come."""
        return Schedule(self.departures, self.world)


class RandomWalk(_Deciding):
    """Each choice at random, all candidates with the same probability."""

    def choose(self, queue: ScheduledQueue, candidates: list[Who], entries: list[Any]) -> int:
        """Choose one at random."""
        index = int(self._random.random() * len(entries))
        if index:
            self.note(queue, entries[:index])
        return index


class LateWalk(_Deciding):
    """A random walk within what any loop may do: outside events are late, steps are slow."""

    had_a_choice = False  # whether anything could be late

    def choose(self, queue: ScheduledQueue, candidates: list[Who], entries: list[Any]) -> int:
        """FIFO, but what came from outside may wait."""
        for index, entry in enumerate(entries):
            if queue.is_late_by_nature(entry):
                self.had_a_choice = True
            if not queue.is_late_by_nature(entry) or self._random.random() < 0.4:
                if index:
                    self.note(queue, entries[:index])
                return index
        return 0

    def wants_lateness(self, queue: ScheduledQueue) -> bool:
        """More often than other walks."""
        self.had_a_choice = self.had_a_choice or bool(queue.moments_within(self._lateness))
        return self._random.random() < 4 * LATE_RATE


class Priorities(_Deciding):
    """Probabilistic concurrency testing (PCT): random priorities, lowered at few random steps.

    With `n` tasks, `k` steps and a bug that needs `depth` orderings, a run finds it with a
    probability of at least 1 / (n * k ** (depth - 1)).

    Source: Burckhardt, Kothari, Musuvathi and Nagarakatte, "A Randomized Scheduler with
    Probabilistic Guarantees of Finding Bugs", ASPLOS 2010.
    """

    def __init__(
        self,
        generator: random.Random,
        lateness: float,
        cancels: Cancelling | None,
        *,
        depth: int,
        steps: int,
        world: int = 0,
    ) -> None:
        super().__init__(generator, lateness, cancels, world)
        self._priorities: dict[str, float] = {}
        steps = max(steps, depth)
        self._changes = {generator.randrange(1, steps + 1): -n for n in range(1, depth)}
        self._slow = generator.randrange(1, steps + 1)

    def choose(self, queue: ScheduledQueue, candidates: list[Who], entries: list[Any]) -> int:
        """The one with the highest priority; after it, it may have the lowest."""
        priorities = self._priorities
        best, highest = 0, -inf
        for index, who in enumerate(candidates):
            priority = priorities.get(who.label)
            if priority is None:
                priority = priorities[who.label] = self._random.random()
            if priority > highest:
                best, highest = index, priority
        lowered = self._changes.pop(queue.steps, None)
        if lowered is not None:
            priorities[candidates[best].label] = lowered
        if best:
            self.note(queue, entries[:best])
        return best

    def wants_lateness(self, queue: ScheduledQueue) -> bool:
        """At one step of the run, or the first after it at which time can pass."""
        if queue.steps < self._slow:
            return False
        if not queue.moments_within(self._lateness):
            return False
        self._slow = queue.most_steps + 1
        return True
