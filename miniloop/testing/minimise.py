"""The smallest schedule that still fails in the same way: ddmin over the departures.

Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 2002.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from miniloop.testing.schedule import HOLD, Departure, Schedule

__all__ = ["minimise"]


def minimise(
    schedule: Schedule,
    fails: Callable[[Schedule], bool],
    *,
    tries: int = 400,
    seconds: float = 10.0,
) -> Schedule:
    """The smallest schedule found within so many tries, and in about so many seconds.

    `fails` says of a schedule whether the test fails under it as it did before.
    """
    budget = _Budget(fails, tries, time.monotonic() + seconds)
    if schedule and budget.fails([]):
        return Schedule()
    if schedule.world and not budget.fails(list(schedule)):
        budget.world = schedule.world
        if budget.fails([]):
            return Schedule((), schedule.world)
    departures = _fewer(list(schedule), budget)
    departures = _one_by_one(departures, budget)
    departures = _shorter(departures, budget)
    departures = _fewer(departures, budget)  # shorter ones may need less besides
    return Schedule(departures, budget.world)


class _Budget:
    def __init__(self, fails: Callable[[Schedule], bool], tries: int, deadline: float) -> None:
        self._fails = fails
        self._tries = tries
        self._deadline = deadline
        self.world = 0  # of all schedules that are tried

    @property
    def is_spent(self) -> bool:
        return self._tries <= 0 or time.monotonic() > self._deadline

    def fails(self, departures: list[Departure]) -> bool:
        if self.is_spent:
            return False
        self._tries -= 1
        return self._fails(Schedule(departures, self.world))


def _fewer(departures: list[Departure], budget: _Budget) -> list[Departure]:
    """Take away halves, quarters and so on, as long as that leaves a failure."""
    parts = 2
    while len(departures) > 1 and not budget.is_spent:
        size = max(1, len(departures) // parts)
        for start in range(0, len(departures), size):
            rest = departures[:start] + departures[start + size :]
            if budget.fails(rest):
                departures = rest
                parts = max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(departures), parts * 2)
    return departures


def _one_by_one(departures: list[Departure], budget: _Budget) -> list[Departure]:
    """Try whether one departure, held for longer, can replace the others."""
    if len(departures) > 1:
        for each in departures:
            if each.kind == HOLD and budget.fails([replace(each, length=0)]):
                return [replace(each, length=0)]
    return departures


def _shorter(departures: list[Departure], budget: _Budget) -> list[Departure]:
    """Make each hold as short as still fails."""
    for index, each in enumerate(departures):
        if each.kind != HOLD:
            continue
        length = 1
        while not budget.is_spent and (not each.length or length < each.length):
            shorter = replace(each, length=length)
            if budget.fails([*departures[:index], shorter, *departures[index + 1 :]]):
                departures[index] = shorter
                break
            length += 1 if length < 8 else length // 2
            if length > 200:
                break
    return departures
