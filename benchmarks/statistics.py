"""From rounds to figures: the median, its spread, and the ratio to the reference.

Rounds on a machine that does other things too are not a bell curve: most are alike and a few are
far too slow. So nothing here takes a mean of rounds or assumes a distribution.

- The figure is the **median** of the rounds.
- Its **spread** is the interval that holds the true median with at least 95 % confidence, whatever
  the distribution is. It is read off the sorted rounds: each round lies below the true median with
  probability one half, so how many do follows the binomial law of a tossed coin. Of 9 rounds it
  runs from the second smallest to the second largest. Below 6 rounds not even the smallest and
  the largest reach 95 %, and the spread is simply those two.
- A **ratio** is taken round by round, each round against the reference in that same round, a few
  tenths of a second apart, and only then the median is taken. What slows the whole machine for a
  second slows both, and cancels out.
- A **percentile** of the delays inside of one round is the smallest of them that at least so many
  per cent do not exceed: always a delay that really occurred, never one between two.
- Ratios are put together by their **geometric mean**: of 2 and 1/2 it gives 1, as it should.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["FEWEST_ROUNDS", "Figure", "figure", "geometric_mean", "percentile", "ratio"]

CONFIDENCE = 0.95
# With fewer, no interval that the rounds can give has that confidence.
FEWEST_ROUNDS = 6


@dataclass(frozen=True)
class Figure:
    """A median and the interval around it."""

    median: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` lies within the spread, its ends included."""
        return self.low <= value <= self.high


def figure(values: Sequence[float]) -> Figure:
    """The median of `values` with its spread. Raises `ValueError` for no values."""
    if not values:
        raise ValueError("a figure needs at least one round")
    ordered = sorted(values)
    trim = _trim(len(ordered))
    return Figure(statistics.median(ordered), ordered[trim], ordered[-1 - trim])


def ratio(reference: Sequence[float], values: Sequence[float]) -> Figure:
    """How many times as good as `reference` the `values` are, round by round: 2 is twice as fast.

    Both hold one cost (time or bytes) a round, and the n-th of each comes from the same round.
    Raises `ValueError` where they are not as many.
    """
    if len(reference) != len(values):
        raise ValueError(f"{len(values)} rounds against {len(reference)} of the reference")
    return figure([base / value for base, value in zip(reference, values, strict=True)])


def percentile(values: Sequence[float], part: int) -> float:
    """The smallest of `values` that `part` per cent of them do not exceed; 100: the largest.

    Raises `ValueError` for no values, or where `part` is not 1 to 100.
    """
    if not values:
        raise ValueError("a percentile needs at least one value")
    if not 1 <= part <= 100:
        raise ValueError(f"a percentile is 1 to 100, got {part}")
    return sorted(values)[math.ceil(len(values) * part / 100) - 1]


def geometric_mean(values: Iterable[float]) -> float:
    """The n-th root of the product of n positive numbers."""
    return statistics.geometric_mean(values)


def _trim(rounds: int) -> int:
    """How many rounds to leave out at each end, so that 95 % confidence remains."""
    trim = 0
    # The chance that the true median lies outside the sorted rounds that remain, at either end.
    outside = 2 / 2**rounds
    while True:
        outside += 2 * math.comb(rounds, trim + 1) / 2**rounds
        if outside > 1 - CONFIDENCE:
            return trim
        trim += 1
