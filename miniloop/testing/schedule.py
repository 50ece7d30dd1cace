"""A schedule: where a run departs from what today's asyncio would do.

asyncio runs entries first in, first out, and a step takes no virtual time. A schedule lists where a
run departs from that; with no departure it is plain FIFO. So the smallest schedule that makes a
test fail names what matters and nothing else.

A departure names a task by its *label* and by how often it has run, and not by the number of the
turn or by an address. So it still means the same when other departures are removed, or when the
program has changed elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["CANCEL_READY", "CANCEL_WAITING", "HOLD", "LATE", "Departure", "Schedule"]

HOLD = "hold"
LATE = "late"
CANCEL_WAITING = "cancel waiting"
CANCEL_READY = "cancel ready"

KINDS = (HOLD, LATE, CANCEL_WAITING, CANCEL_READY)


@dataclass(frozen=True, slots=True)
class Departure:
    """One departure.

    * `hold`: the entry `who`, about to run for the time number `run`, lets others go first, for
      `length` choices, or (0) until nobody else is ready;
    * `late`: after `who` has run for the time number `run`, time passes up to the next deadline, or
      the one that many (`length`) deadlines on, as if that step had been slow;
    * `cancel waiting`: after `who` has run for the time number `run`, and waits, it is cancelled;
    * `cancel ready`: when `who` is about to run for the time number `run`, it is cancelled.

    With `who` empty, `run` is the number of the step of the whole run: whoever it is then.
    """

    kind: str
    who: str
    run: int
    length: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the kind of a departure must be one of {KINDS}, got {self.kind!r}")

    def __str__(self) -> str:
        who = f"`{self.who}`" if self.who else "whoever is next"
        when = f"before its run {self.run}" if self.who else f"at step {self.run}"
        if self.kind == HOLD:
            how_long = f"for {self.length} choices" if self.length else "until nobody else is ready"
            return f"{who} is held back {when}, {how_long}"
        if self.kind == LATE:
            return f"time passes after run {self.run} of {who}, up to deadline {self.length or 1}"
        if self.kind == CANCEL_WAITING:
            return f"{who} is cancelled as it waits, after its run {self.run}"
        return f"{who} is cancelled when it is ready, {when}"


class Schedule:
    """Departures: at most one of each kind at one moment.

    `world` is what the seed of the simulated network depends on, beside that of the exploration:
    how long packets take in this run, and which are lost.
    """

    __slots__ = ("departures", "world")

    def __init__(self, departures: Iterable[Departure] = (), world: int = 0) -> None:
        self.departures = tuple(departures)
        self.world = world

    def __bool__(self) -> bool:
        return bool(self.departures or self.world)

    def __len__(self) -> int:
        return len(self.departures)

    def __iter__(self) -> Iterator[Departure]:
        return iter(self.departures)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and (self.departures, self.world) == (
            other.departures,
            other.world,
        )

    def __hash__(self) -> int:
        return hash((self.departures, self.world))

    def __repr__(self) -> str:
        world = f", {self.world}" if self.world else ""
        return f"Schedule({list(self.departures)!r}{world})"

    def __str__(self) -> str:
        return "; ".join(map(str, self.departures)) or "first in, first out"

    def with_departure(self, departure: Departure) -> Schedule:
        """The same, and one more."""
        return Schedule((*self.departures, departure), self.world)

    def as_lists(self) -> list[list[Any]]:
        """The departures as JSON takes them."""
        return [[each.kind, each.who, each.run, each.length] for each in self.departures]

    @classmethod
    def from_lists(cls, lists: Iterable[Any], world: int = 0) -> Schedule:
        """The reverse. Raises ValueError."""
        try:
            departures = [
                Departure(str(kind), str(who), int(run), int(length))
                for kind, who, run, length in lists
            ]
        except TypeError as error:
            raise ValueError(f"these are no departures: {error}") from None
        return cls(departures, world)
