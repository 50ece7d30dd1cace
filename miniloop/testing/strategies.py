"""Strategies: which schedules to try, in which order.

A strategy is a generator of choosers. Each is used for one run, and whoever drives the strategy
sends the outcome back. `fifo` has one run; `departures` has 0, 1, 2 ... departures from FIFO, all
of them within its bound; `random` and `pct` go on for ever.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain, count

from miniloop.testing.choosers import Cancelling, Following, Priorities, RandomWalk
from miniloop.testing.execution import Outcome
from miniloop.testing.schedule import HOLD, LATE, Departure, Schedule

__all__ = ["Runs", "Strategy", "parse"]

AnyChooser = Following | RandomWalk | Priorities
Runs = Generator[AnyChooser, Outcome, None]

# Of the budget of `mixed`: the share of schedules with one departure, and that of two.
FIRST_LEVEL = 0.4
SECOND_LEVEL = 0.2


@dataclass(frozen=True)
class Strategy:
    """A strategy by its name: `fifo`, `departures`, `random`, `pct` or `mixed`.

    `bound` is how many departures there are at most, or the depth of `pct`; 0 for the default.
    """

    name: str
    bound: int = 0

    def runs(
        self,
        seed: int,
        schedules: int,
        lateness: float,
        cancels: Cancelling | None,
        *,
        worlds: bool = False,
    ) -> Runs:
        """The choosers, of which the first is always FIFO.

        `worlds`: there is a simulated network, and it shall be another one in each random run.
        """
        make = _Maker(seed, lateness, cancels, worlds)
        if self.name == "fifo":
            return make.departures(0)
        if self.name == "departures":
            return make.departures(self.bound or 2)
        if self.name == "random":
            return make.random_walks()
        if self.name == "pct":
            return make.priorities(self.bound or 3)
        return make.mixed(schedules)

    def __str__(self) -> str:
        return f"{self.name}:{self.bound}" if self.bound else self.name


def parse(text: str | Strategy) -> Strategy:
    """A strategy from its name, as in `departures:3`. Raises ValueError."""
    if isinstance(text, Strategy):
        return text
    if not isinstance(text, str):
        raise TypeError(f"strategy must be the name of one, such as 'mixed', got {text!r}")
    name, _, bound = text.partition(":")
    if name not in ("fifo", "departures", "random", "pct", "mixed") or (bound and name == "mixed"):
        raise ValueError(
            f"strategy must be mixed, departures, random, pct or fifo, perhaps with a bound as in "
            f"'departures:3' or 'pct:4', got {text!r}"
        )
    if bound and not bound.isdigit():
        raise ValueError(f"the bound of a strategy must be a number, got {text!r}")
    return Strategy(name, int(bound or 0))


class _Maker:
    def __init__(
        self, seed: int, lateness: float, cancels: Cancelling | None, worlds: bool
    ) -> None:
        self._worlds = worlds
        self._seed = seed
        self._lateness = lateness
        self._cancels = cancels
        self._steps = 1  # of the longest run so far

    def _following(self, schedule: Schedule, observe: bool = True) -> Following:
        return Following(schedule, lateness=self._lateness, cancels=self._cancels, observe=observe)

    def departures(self, most: int) -> Runs:
        """No departure, then all schedules with one, with two, ... up to `most`."""
        for depth in range(most + 1):
            yield from self._level(Schedule(), depth)

    def _level(self, so_far: Schedule, more: int) -> Runs:
        """All schedules that have `more` departures beyond these, each later than those."""
        chooser = self._following(so_far)
        if more == 0:
            yield from self._one(chooser)
            return
        # On the last level this run was made before. It is made again for its sites: keeping those
        # of all runs would take memory without a bound.
        outcome = yield from self._one(chooser)
        if outcome is None:
            return
        for departure in _in_order(_after(chooser.sites, so_far)):
            schedule = so_far.with_departure(departure)
            if more > 1 or departure.kind != HOLD:
                yield from self._level(schedule, more - 1)
                continue
            longest = self._following(schedule)
            yield from self._one(longest)
            actual = longest.lengths.get((departure.who, departure.run), 0)
            for length in _lengths(actual):
                shorter = Departure(HOLD, departure.who, departure.run, length)
                yield from self._one(self._following(so_far.with_departure(shorter)))

    def _one(self, chooser: Following) -> Generator[AnyChooser, Outcome, Outcome | None]:
        outcome = yield chooser
        self._steps = max(self._steps, outcome.steps)
        return outcome

    def random_walks(self) -> Runs:
        """Each choice at random."""
        yield from self._one(self._following(Schedule()))
        for number in count():
            yield self._random_walk(number)

    def priorities(self, depth: int) -> Runs:
        """PCT."""
        yield from self._one(self._following(Schedule()))
        for number in count():
            yield self._priority_run(depth, number)

    def _random_walk(self, number: int) -> RandomWalk:
        generator = self._generator("random", number)
        return RandomWalk(generator, self._lateness, self._cancels, self._world(2 * number))

    def _world(self, number: int) -> int:
        return 1 + number if self._worlds else 0

    def _priority_run(self, depth: int, number: int) -> Priorities:
        return Priorities(
            self._generator("pct", number),
            self._lateness,
            self._cancels,
            depth=depth,
            steps=self._steps,
            world=self._world(2 * number + 1),
        )

    def _generator(self, kind: str, number: int) -> random.Random:
        return random.Random(f"{self._seed}/{kind}/{number}")

    def mixed(self, schedules: int) -> Runs:
        """Departures within their share of the budget, then random walks and PCT alternately."""
        yield from self._share(self.departures(1), int(schedules * FIRST_LEVEL))
        yield from self._share(self._level(Schedule(), 2), int(schedules * SECOND_LEVEL))
        for number in count():
            yield self._random_walk(number)
            yield self._priority_run(2 + number % 3, number)

    def _share(self, runs: Runs, most: int) -> Runs:
        outcome: Outcome | None = None
        for _ in range(max(most, 1)):
            try:
                chooser = next(runs) if outcome is None else runs.send(outcome)
            except StopIteration:
                return
            outcome = yield chooser


def _after(sites: list[Departure], so_far: Schedule) -> Iterator[Departure]:
    """The sites that come after the last departure of the schedule, in the order of the run."""
    if not so_far:
        yield from sites
        return
    last = so_far.departures[-1]
    moment = (last.kind, last.who, last.run)
    found = False
    for site in sites:
        if found:
            yield site
        elif (site.kind, site.who, site.run) == moment:
            found = True


def _in_order(sites: Iterator[Departure]) -> Iterator[Departure]:
    """Sites that are legal on any loop first; each site once."""
    once = dict.fromkeys(sites)
    return chain(
        (site for site in once if site.kind not in (HOLD, LATE)),
        (site for site in once if site.kind == LATE),
        (site for site in once if site.kind == HOLD),
    )


def _lengths(longest: int) -> Iterator[int]:
    """All shorter ways to hold back, the most different ones first."""
    tried = set()
    length = 1
    while length < longest:
        tried.add(length)
        yield length
        length *= 2
    yield from (length for length in range(1, longest) if length not in tried)
