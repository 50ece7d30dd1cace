"""What held the loop up: steps that took long, and the timers that were late for them.

A timer is late because one step held the loop, because many were ready, or because the system woke
the loop late. Which of these it was is in the recording: what ran between the deadline and the
moment at which the loop came to the timer.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

__all__ = ["LATE", "LONG_STEP", "Lateness"]

# Nanoseconds, as the page has them. Debug mode, too, calls a step slow from 100 ms on, and the
# kernel rounds to a whole millisecond, so that a timer may be late by one.
LONG_STEP = 100_000_000
LATE = 10_000_000


class Told(Protocol):
    """What turns a model into words: a `Story`, which has a `Lateness`."""

    model: dict[str, Any]
    steps: list[int]

    def number_of(self, begun: int, /) -> int: ...
    def thing(self, number: int, /) -> str: ...
    def line(self, place: int, /) -> str: ...
    def at(self, place: int, /) -> str: ...


@dataclass(frozen=True)
class Meanwhile:
    """What ran between a deadline and the moment at which the loop came to the timer."""

    steps: int
    total: int  # ns
    longest: int  # the event with which that step begins; -1 if nothing ran
    most: int  # ns of it that were after the deadline

    @property
    def culprit(self) -> int:
        """The step that had more than half of the time; -1 if there is none."""
        return self.longest if self.most > self.total / 2 else -1


class Lateness:
    """Long steps and late timers of a recording, in words."""

    def __init__(self, story: Told) -> None:
        self._story = story
        model: dict[str, Any] = story.model
        self._events = model["events"]
        kind, cause = self._events["kind"], self._events["cause"]
        finishing = {model["kinds"].index(name) for name in ("suspended", "ended")}
        begun = set(story.steps)
        # By the event with which a step begins: the one with which it is over. An eager task runs
        # within the step of another, so it is found by its cause and not by its place.
        self._over = {
            cause[event]: event
            for event, its_kind in enumerate(kind)
            if its_kind in finishing and cause[event] in begun
        }
        # In the order in which they began, which is that of time: when, and the latest end so far.
        time = self._events["time"]
        self._whole = sorted(self._over)
        self._begins = [time[begun] for begun in self._whole]
        self._ends = list(accumulate((time[self._over[begun]] for begun in self._whole), max))

    def took(self, begun: int) -> int:
        """How many ns the step took that begins with this event; 0 if it was cut off."""
        over = self._over.get(begun)
        return 0 if over is None else self._events["time"][over] - self._events["time"][begun]

    def meanwhile(self, due: int) -> Meanwhile:
        """What ran while the timer of this event, "timer due", was late."""
        time = self._events["time"]
        now = time[due]
        deadline = now - self._events["extra"][due]
        steps, total, longest, most = 0, 0, -1, 0
        index = bisect_left(self._begins, now)
        while index and self._ends[index - 1] > deadline:
            index -= 1
            begun = self._whole[index]
            ran = min(time[self._over[begun]], now) - max(time[begun], deadline)
            if ran > 0:
                steps, total = steps + 1, total + ran
                if ran > most:
                    longest, most = begun, ran
        return Meanwhile(steps, total, longest, most)

    def held(self, begun: int) -> str:
        """That a step held the loop, for how long, and where it is in the program."""
        thing = self._story.thing(self._events["thing"][begun])
        over = self._over.get(begun)
        first = self._story.line(self._events["place"][begun])
        last = "" if over is None else self._story.line(self._events["place"][over])
        where = f", from {first}" if first else ""
        if last and last != first:
            where += f" to {last}"
        number = self._story.number_of(begun)
        return f"step {number} held the loop for {self.took(begun) / 1e6:.2f} ms: {thing}{where}"

    def why_late(self, due: int) -> str:
        """Why the timer of this event was late; empty if it was not, or not for a single step."""
        if self._events["extra"][due] < LATE:
            return ""
        culprit = self.meanwhile(due).culprit
        return self.held(culprit) if culprit >= 0 else ""

    def report(self) -> list[str]:
        """Each step that held the loop, the longest first, with the timers that were late for it.

        Then the timers that were late, but not for a single step.
        """
        story = self._story
        late: dict[int, list[str]] = {
            begun: [] for begun in story.steps if self.took(begun) > LONG_STEP
        }
        rest: list[str] = []
        due = story.model["kinds"].index("timer due")
        for event, kind in enumerate(self._events["kind"]):
            if kind != due or self._events["extra"][event] < LATE:
                continue
            sentence = self._late(event)
            ran = self.meanwhile(event)
            if ran.culprit >= 0:
                late.setdefault(ran.culprit, []).append(f"  {sentence}")
            elif ran.steps:
                rest.append(f"{sentence}; {ran.steps} steps ran first, {ran.total / 1e6:.2f} ms")
            else:
                rest.append(f"{sentence}; nothing ran meanwhile: the system woke the loop late")
        lines: list[str] = []
        for begun in sorted(late, key=self.took, reverse=True):
            lines += [self.held(begun), *late[begun]]
        return lines + rest

    def _late(self, due: int) -> str:
        """That a timer was late, by how much, and who had set it."""
        story, events = self._story, self._events
        text = f"{story.thing(events['thing'][due])} was {events['extra'][due] / 1e6:.2f} ms late"
        cause = events["cause"][due]
        if cause < 0:
            return text
        return f"{text}; {story.thing(events['other'][cause])} had set it" + story.at(
            events["place"][cause]
        )
