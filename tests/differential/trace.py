"""The trace of a program: what can be observed, in the order in which it happened.

An event is `(turn, time, who, what, outcome)`. Outcomes are put into plain values, so that those of
two loops can be compared: a task by its name, an exception by its type, and by its arguments if
they are the program's own. The words of the loops' own errors are not compared here.

What depends on when an object is collected, such as "exception was never retrieved", has no place
in that order. It is kept apart, sorted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.differential.clocks import Clock, ReadyQueue

__all__ = ["Event", "ProgramError", "ProgramExit", "ProgramInterrupt", "Recorder", "Trace"]

Event = tuple[int, float, str, str, Any]


class ProgramError(Exception):
    """Raised by programs."""


class ProgramExit(BaseException):
    """Raised by programs; not an `Exception`."""


class ProgramInterrupt(KeyboardInterrupt):
    """Raised by programs; a `KeyboardInterrupt` itself is a key pressed by the one who tests."""


_OWN = (ProgramError, ProgramExit, ProgramInterrupt, asyncio.CancelledError, SystemExit)


@dataclass
class Trace:
    """What a program did."""

    events: list[Event] = field(default_factory=list)
    late: Counter[Any] = field(default_factory=Counter)


class Recorder:
    """Writes the trace of one program."""

    def __init__(self, clock: Clock, ready: ReadyQueue) -> None:
        self.trace = Trace()
        self._clock = clock
        self._ready = ready
        # What the program calls its tasks, whatever the loop does.
        self.labels: dict[Any, str] = {}
        # Once over, coroutines that never ended are collected; what they then do is no event.
        self.over = False

    def describe(self, value: Any) -> Any:
        """A value in words that do not depend on the loop."""
        if value is None or isinstance(value, bool | int | str | float):
            return value
        if isinstance(value, BaseExceptionGroup):
            return (type(value).__name__, [self.describe(error) for error in value.exceptions])
        if isinstance(value, BaseException):
            return self._describe_error(value)
        if isinstance(value, list | tuple):
            return [self.describe(item) for item in value]
        if isinstance(value, set | frozenset):
            return sorted(self.describe(item) for item in value)
        if asyncio.isfuture(value):
            return self.labels.get(value, "unknown")
        return type(value).__name__

    def _describe_error(self, error: BaseException) -> Any:
        name = type(error).__name__
        if isinstance(error, _OWN):
            name = f"{name}{error.args}"
        cause = error.__cause__
        if cause is None and error.__context__ is not None and not error.__suppress_context__:
            return (name, "during", type(error.__context__).__name__)
        return name if cause is None else (name, "from", self.describe(cause))

    def note(self, who: str, what: str, outcome: Any = None) -> None:
        """Write down that something happened."""
        if not self.over:
            self.trace.events.append(
                (self._ready.turn, self._clock.now, who, what, self.describe(outcome))
            )

    def turn(self) -> int:
        """How many turns there have been."""
        return self._ready.turn

    def report(self, loop: Any, context: dict[str, Any]) -> None:
        """The loop's exception handler."""
        message = context["message"]
        keys = sorted(context.keys() - {"message", "exception"})
        error = self.describe(context.get("exception"))
        if message.endswith(("was never retrieved", "but it is pending!")):
            self.trace.late[(message, str(error), str(keys))] += 1
        else:
            # What follows names a function and its place, or an object and its address.
            kind = message.split(" in callback ")[0].split(" <")[0]
            self.note("handler", kind, [error, keys])
