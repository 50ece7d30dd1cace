"""How many of the bugs are found by `explore`, and how many by random sleeps.

Both get a thousand runs for each bug, and stop at the first failure. Random sleeps are also judged
by what they find in the time that `explore` took, its search for the smallest schedule included.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from miniloop.testing import find_failure
from tests.testing.corpus import Bug, bugs
from tests.testing.corpus.stress import LONGEST_SLEEP, Stress, stress

__all__ = ["Row", "lines", "measure"]

RUNS = 1000  # the default budget of `explore`


@dataclass(frozen=True)
class Row:
    """`schedules` is how many `explore` ran until it failed; None if it did not."""

    bug: Bug
    schedules: int | None
    seconds: float
    stress: Stress

    @property
    def in_the_same_time(self) -> bool:
        """Whether random sleeps found it in the time that `explore` took."""
        return self.stress.found and self.stress.seconds <= self.seconds


def measure(bug: Bug, *, runs: int = RUNS) -> Row:
    """Look for one bug in both ways."""
    begin = time.perf_counter()
    failure = find_failure(bug.buggy, save=False, schedules=runs, **bug.options)
    seconds = time.perf_counter() - begin
    return Row(bug, None if failure is None else failure.runs, seconds, stress(bug, runs=runs))


def lines(rows: Sequence[Row], *, runs: int = RUNS) -> Iterator[str]:
    """The table, in Markdown."""
    found = sum(row.schedules is not None for row in rows)
    random = sum(row.stress.found for row in rows)
    quick = sum(row.in_the_same_time for row in rows)
    spent = sum(row.seconds for row in rows), sum(row.stress.seconds for row in rows)
    yield f"Python {platform.python_version()}, {runs:,} runs for each bug and way at the most;"
    yield f"random sleeps of up to {LONGEST_SLEEP * 1000:g} ms."
    yield ""
    yield "| bug | kind | report | explore | random sleeps |"
    yield "|---|---|---|---|---|"
    for row in rows:
        repository, _, number = row.bug.report.partition("#")
        link = f"[{row.bug.report}](https://github.com/{repository}/issues/{number})"
        explored = "not found" if row.schedules is None else f"run {row.schedules:,}"
        stressed = f"run {row.stress.runs:,}" if row.stress.found else "not found"
        yield (
            f"| {row.bug.name} | {row.bug.kind} | {link} "
            f"| {explored}, {row.seconds:.2f} s | {stressed}, {row.stress.seconds:.2f} s |"
        )
    yield (
        f"| **{len(rows)} bugs** | | | **{found} found**, {spent[0]:.1f} s "
        f"| **{random} found**, {spent[1]:.1f} s; {quick} in the time of explore |"
    )


def all_lines() -> Iterator[str]:
    """Measure everything."""
    yield from lines([measure(bug) for bug in bugs()])
