"""``python -m benchmarks compare old.json new.json``: which rows have changed, for regressions.

The two runs were not interleaved, so what a machine did meanwhile is in their costs. What is
compared is each loop's *ratio to the reference of its own run*: the median of one and the other,
and a change is told where their 95 % intervals have no value in common.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.results import BadResultsError, Run
from benchmarks.statistics import Figure
from benchmarks.table import ratio_text

__all__ = ["changes", "main"]


def main(arguments: Sequence[str]) -> int:
    """Print what has changed; the exit code is 1 where something became worse, 2 for bad usage."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compare",
        description="Rows whose ratio to the reference has changed beyond its spread.",
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args(arguments)
    try:
        old, new = Run.load(options.old), Run.load(options.new)
        found = list(changes(old, new))
    except (BadResultsError, OSError) as error:
        print(f"benchmarks compare: {error}", file=sys.stderr)
        return 2
    for part in ("python", "processor", "system"):
        one, other = old.machine.get(part), new.machine.get(part)
        if one != other:
            print(f"note: {part} was {one}, and is {other}")
    for _, line in found:
        print(line)
    compared = sum(1 for _ in _pairs(old, new))
    worse = sum(is_worse for is_worse, _ in found)
    print(f"{compared} figures compared: {worse} worse, {len(found) - worse} better")
    return 1 if worse else 0


def changes(old: Run, new: Run) -> Iterator[tuple[bool, str]]:
    """Whether it became worse, and a line that says it, for each figure that changed.

    Raises BadResultsError where the runs have no figure in common.
    """
    pairs = list(_pairs(old, new))
    if not pairs:
        raise BadResultsError("the two results have no row and loop in common")
    for name, label, one, other in pairs:
        if other.high < one.low or one.high < other.low:
            is_worse = other.median < one.median
            yield (
                is_worse,
                f"{'worse ' if is_worse else 'better'} {other.median / one.median - 1:+.0%}  "
                f"{name}, {label}: {ratio_text(one)}, now {ratio_text(other)}",
            )


def _pairs(old: Run, new: Run) -> Iterator[tuple[str, str, Figure, Figure]]:
    if old.reference != new.reference:
        raise BadResultsError(
            f"one result is relative to {old.reference}, the other to {new.reference}"
        )
    before = {row.name: row for row in old.rows}
    for row in new.rows:
        if row.name not in before:
            continue
        for label in row.labels:
            one, other = before[row.name].ratio(label), row.ratio(label)
            if label != row.reference and one is not None and other is not None:
                yield row.name, label, one, other
