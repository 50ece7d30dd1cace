"""Why did this run now? The chain of causes of a step, in sentences, each with a line.

Each event of a model names the event that caused it. Following these from the begin of a step leads
to something that came from outside: a descriptor, a timer, a thread, a signal; or to the start. The
chain ends there; for a timer or a call in a thread it also says who asked for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from miniloop.study.lateness import LONG_STEP, Lateness

__all__ = ["ROOTS", "Story", "chain"]

# What comes from outside: there a chain of causes ends.
ROOTS = {"ready", "timer due", "handed", "signal"}


def chain(model: dict[str, Any], event: int) -> list[int]:
    """The event, what caused it, what caused that, and so on to what came from outside."""
    kinds, kind, cause = model["kinds"], model["events"]["kind"], model["events"]["cause"]
    found = []
    while event >= 0:
        found.append(event)
        if kinds[kind[event]] in ROOTS:
            break
        event = cause[event]
    return found


class Story:
    """A model, told in words."""

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self._events = model["events"]
        self._things = model["things"]
        begun = model["kinds"].index("begun")
        kinds = self._events["kind"]
        # The steps, in their order: the event with which each begins.
        self.steps = [event for event, kind in enumerate(kinds) if kind == begun]
        self._numbers = {event: number for number, event in enumerate(self.steps, self.first_step)}
        self.lateness = Lateness(self)

    @property
    def first_step(self) -> int:
        """The number of the first step that the recording has."""
        return int(self.model["dropped"]) + 1

    def step(self, number: int) -> int:
        """The event with which this step begins. Raises IndexError if it is not recorded."""
        index = number - self.first_step
        if not 0 <= index < len(self.steps):
            if not self.steps:
                raise IndexError("no step was recorded")
            last = self.first_step + len(self.steps) - 1
            raise IndexError(f"there is no step {number}: they go from {self.first_step} to {last}")
        return self.steps[index]

    def number_of(self, begun: int) -> int:
        """The number of the step that begins with this event."""
        return self._numbers[begun]

    # Words.

    def kind(self, event: int) -> str:
        """What kind of event it is."""
        return str(self.model["kinds"][self._events["kind"][event]])

    def thing(self, number: int) -> str:
        """A thing by its kind and name, such as "task fetch 3"."""
        if number < 0:
            return "the program"
        kind = self._things["kind"][number]
        name = self.model["strings"][self._things["name"][number]]
        if name in (kind, "Future"):
            return f"a {kind}"
        if kind in ("descriptor", "thread", "signal"):
            return str(name)
        return f"{'callback' if kind == 'handle' else kind} {name}"

    def line(self, place: int) -> str:
        """A place, such as "app.py:12"; empty if it is not known."""
        if place < 0:
            return ""
        file, line, _ = self.model["places"][place]
        return f"{self.model['files'][file]['name']}:{line}"

    def at(self, place: int) -> str:
        """The same with a word before it."""
        line = self.line(place)
        return f" at {line}" if line else ""

    def source(self, place: int) -> str:
        """The text of a line; empty if it is not in the recording."""
        if place < 0:
            return ""
        file, line, _ = self.model["places"][place]
        lines = (self.model["files"][file]["source"] or "").splitlines()
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""

    # Why.

    def why(self, number: int) -> list[str]:
        """Why the step with this number ran when it did: a sentence for each cause, latest first.

        Raises IndexError if the recording has no such step.
        """
        events = chain(self.model, self.step(number))
        sentences = [sentence for event in events if (sentence := self.sentence(event))]
        last = events[-1]
        if self.kind(last) not in ROOTS:
            sentences.append(self._start(last))
        elif self.kind(last) == "timer due" and (held := self.lateness.why_late(last)):
            sentences.append(held)
        return sentences

    def sentence(self, event: int) -> str:
        """What happened, as a cause of what came after. Empty if the next sentence says it."""
        tell = getattr(self, "_" + self.kind(event).replace(" ", "_"), None)
        return tell(event) if tell is not None else ""

    def _column(self, name: str, event: int) -> int:
        return int(self._events[name][event])

    def _parts(self, event: int) -> tuple[str, str, str]:
        """The thing of an event, the other one, and the line."""
        return (
            self.thing(self._column("thing", event)),
            self.thing(self._column("other", event)),
            self.at(self._column("place", event)),
        )

    def _begun(self, event: int) -> str:
        thing, _, at = self._parts(event)
        return f"step {self._numbers[event]}: {thing} ran{at}"

    def _queued(self, event: int) -> str:
        thing, other, at = self._parts(event)
        cause = self._column("cause", event)
        why = self.kind(cause) if cause >= 0 else ""
        if why in ROOTS or why == "finished":
            return ""  # that sentence names it
        if self._column("thing", event) == self._column("other", event):
            return f"it had let others go first{at}, and was queued again"
        if self._column("other", event) < 0:
            return f"{thing} was queued{at}"
        return f"{thing} was queued by {other}{at}"

    def _finished(self, event: int) -> str:
        thing, other, at = self._parts(event)
        how = ("finished", "failed", "cancelled")[self._column("extra", event)]
        if self._column("thing", event) == self._column("other", event):
            return f"it waited for {thing}, which {how if how == 'failed' else 'was ' + how}{at}"
        by = f" by {other}" if self._column("other", event) >= 0 else ""
        ended = {"failed": "was given an exception"}.get(how, f"was {how}")
        return f"it waited for {thing}, which {ended}{by}{at}"

    def _timer_due(self, event: int) -> str:
        thing, _, _ = self._parts(event)
        late = self._column("extra", event) / 1e6
        text = f"{thing} was due, {late:.2f} ms ago" if late > 0 else f"{thing} was due"
        cause = self._column("cause", event)
        if cause < 0:
            return text
        _, other, at = self._parts(cause)
        return f"{text}: {other} had set it{at}"

    def _ready(self, event: int) -> str:
        thing, _, _ = self._parts(event)
        bits = self._column("extra", event)
        how = {1: "readable", 2: "writable"}.get(bits, "readable and writable")
        return f"{thing} was {how}"

    def _signal(self, event: int) -> str:
        return f"the process got {self._parts(event)[0]}"

    def _handed(self, event: int) -> str:
        thing, other, at = self._parts(event)
        text = f"{other} handed {thing} over{at}"
        cause = self._column("cause", event)
        if cause < 0:
            return text
        _, other, at = self._parts(cause)
        return f"{text}: {other} had given the call to an executor{at}"

    def _created(self, event: int) -> str:
        thing, other, at = self._parts(event)
        return f"{thing} was created by {other}{at}, and took its first step at once"

    def _start(self, event: int) -> str:
        """The end of a chain that does not begin with something from outside."""
        if self.kind(event) == "begun":
            return "why it was queued was not recorded"
        if self._column("place", event) < 0 and self._column("other", event) < 0:
            return "that was so when the recording began"
        return "that was the start: the loop did not run yet"

    # Turns.

    def turns(self) -> Iterator[str]:
        """Each turn as lines of text: what it found, and what it ran."""
        number = 0
        step = self.first_step - 1
        for event, kind in enumerate(map(self.kind, range(len(self._events["kind"])))):
            time = self._column("time", event) / 1e6
            thing, other, at = self._parts(event)
            extra = self._column("extra", event)
            if kind == "turn":
                number += 1
                entries = "entry" if extra == 1 else "entries"
                yield f"{time:12.3f} ms  turn {number}: {extra} {entries}"
            elif kind == "begun":
                step += 1
                yield f"{time:12.3f} ms    {step}: {thing}{at}"
            elif kind == "wait" and extra:
                limit = "for ever" if extra < 0 else f"for {extra / 1e6:.3f} ms"
                yield f"{time:12.3f} ms  wait {limit} at most"
            elif kind in ROOTS:
                yield f"{time:12.3f} ms    {self.sentence(event)}"
            elif kind in ("suspended", "ended"):
                took = self.lateness.took(self._column("cause", event))
                if took > LONG_STEP:
                    yield f"{'':15}       held the loop for {took / 1e6:.2f} ms"
                if kind == "ended":
                    yield f"{'':15}       {('returned', 'failed', 'was cancelled')[extra]}{at}"
                elif self._column("other", event) >= 0:
                    yield f"{'':15}       waits for {other}{at}"
