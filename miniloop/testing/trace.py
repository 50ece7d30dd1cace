"""The trace of one run: who ran in each step, from where to where, and who was ready besides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from miniloop.kernel.task import Task
from miniloop.study.awaiting import Place, chain, is_of_the_program, place_of
from miniloop.testing.choosers import Following
from miniloop.testing.queue import ScheduledQueue
from miniloop.testing.schedule import LATE
from miniloop.testing.who import Who, task_of

__all__ = ["Held", "Step", "Tracing", "place_in"]


@dataclass
class Step:
    """One run of an entry.

    `before` and `after` are the lines on which it stood, if it is a task and has one; `after` is
    None once it is done. `ready` are the labels it was chosen from.
    """

    number: int
    who: str
    run: int
    is_task: bool
    time: float
    ready: tuple[str, ...]
    before: Place | None = None
    after: Place | None = None

    def in_words(self) -> str:
        """Who ran where, when, and from which candidates."""
        place = self.after if self.after is not None else self.before
        where = f" at {place}" if place is not None else ""
        return f"`{self.who}` ran{where} at {self.time:g} s, out of {', '.join(self.ready)}"


@dataclass
class Held:
    """An entry that was held back: from which step on, to which, and if it came from outside."""

    who: str
    run: int
    begin: int
    end: int | None
    late_by_nature: bool
    place: Place | None


@dataclass
class Mishap:
    """What else happened at a step: `late` or a cancellation, of whom, and where it stood."""

    kind: str
    who: str
    run: int
    step: int  # the one before which it happened
    place: Place | None = None
    seconds: float = 0.0


@dataclass
class Trace:
    """All of a run."""

    steps: list[Step] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    mishaps: list[Mishap] = field(default_factory=list)


class Tracing(Following):
    """Follows a schedule and writes the trace."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.trace = Trace()
        self._ready: tuple[str, ...] = ()

    def after_step(self, queue: ScheduledQueue) -> None:
        """Note the line on which the entry that has run now stands."""
        step = self.trace.steps[-1]
        if step.is_task and not queue.last_entry.done():
            step.after = place_in(queue.last_entry)
        before = queue.loop.time()
        super().after_step(queue)
        passed = queue.loop.time() - before
        if passed:
            last = queue.last
            self.trace.mishaps.append(
                Mishap(LATE, last.label, last.runs, queue.steps, step.after, passed)
            )

    def choose(self, queue: ScheduledQueue, candidates: list[Who], entries: list[Any]) -> int:
        """As the schedule says."""
        self._ready = tuple(who.label for who in candidates)
        return super().choose(queue, candidates, entries)

    def before_step(self, queue: ScheduledQueue, who: Who, entry: Any) -> None:
        """Note who runs, and from where."""
        task = task_of(entry)
        place = None if task is None else place_in(task)
        self.trace.steps.append(
            Step(
                queue.steps,
                who.label,
                who.runs,
                task is not None,
                queue.loop.time(),
                self._ready or (who.label,),
                place,
            )
        )
        self._ready = ()
        begun = self._begun.get(id(entry))
        super().before_step(queue, who, entry)
        if begun is not None:
            for held in reversed(self.trace.held):
                if (held.who, held.run) == (who.label, who.runs):
                    held.end = queue.steps
                    break

    def hold_begins(self, queue: ScheduledQueue, who: Who, entry: Any) -> None:
        """Note who is held back, and where it stands."""
        task = task_of(entry)
        place = None if task is None else place_in(task)
        late = queue.is_late_by_nature(entry)
        self.trace.held.append(Held(who.label, who.runs + 1, queue.steps, None, late, place))

    def cancelled(self, queue: ScheduledQueue, kind: str, who: Who, task: Any) -> None:
        """Note who is cancelled, and where it stands."""
        self.trace.mishaps.append(Mishap(kind, who.label, who.runs, queue.steps, place_in(task)))


def place_in(task: Task[Any]) -> Place | None:
    """The innermost line of the program on which a suspended task stands."""
    frames = [link.frame for link in chain(task._coro)]
    for frame in reversed(frames):
        if is_of_the_program(frame):
            return place_of(frame)
    return place_of(frames[-1]) if frames else None
