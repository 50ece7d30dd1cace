"""Runs programs on both loops and says where they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from tests.differential.clocks import LOOPS
from tests.differential.generator import program_of_seed
from tests.differential.interpreter import run_program
from tests.differential.language import Program
from tests.differential.shrinking import shrink
from tests.differential.trace import Event, Trace

__all__ = ["Difference", "compare", "first_difference"]


@dataclass
class Difference:
    """A program that tells the loops apart. Its `str` is the program and both traces."""

    program: Program
    expected: Trace  # by asyncio
    found: Trace  # by miniloop
    seed: int | None = None

    def smallest(self) -> Difference:
        """The smallest program found that still tells them apart."""
        smaller = compare(shrink(self.program, lambda program: compare(program) is not None))
        if smaller is None:
            return self  # it differed once and no more, which is a finding of its own
        smaller.seed = self.seed
        return smaller

    def __str__(self) -> str:
        lines = [f"asyncio and miniloop differ in what this program does:\n\n{self.program!r}\n"]
        lines += side_by_side(self.expected, self.found)
        if self.seed is not None:
            lines.append(f"\nIn full: python -m tests.differential {self.seed}")
        return "\n".join(lines)


def compare(program: Program) -> Difference | None:
    """None if both loops give the same trace."""
    expected = run_program(program, LOOPS["asyncio"])
    found = run_program(program, LOOPS["miniloop"])
    return None if expected == found else Difference(program, expected, found)


def first_difference(seeds: Iterable[int]) -> Difference | None:
    """The first of these programs that tells the loops apart."""
    for seed in seeds:
        difference = compare(program_of_seed(seed))
        if difference is not None:
            difference.seed = seed
            return difference
    return None


def side_by_side(expected: Trace, found: Trace) -> list[str]:
    """What both did, as far as they agree, and the next event of each."""
    lines = []
    for left, right in zip_longest(expected.events, found.events):
        if left != right:
            lines += [f"asyncio:  {_in_words(left)}", f"miniloop: {_in_words(right)}", "..."]
            break
        lines.append(f"          {_in_words(left)}")
    for loop, late in ("asyncio", expected.late), ("miniloop", found.late):
        if expected.late != found.late:
            lines.append(f"{loop}, when all was collected: {dict(late)}")
    return lines


def _in_words(event: Event | None) -> str:
    if event is None:
        return "(nothing more)"
    turn, time, who, what, outcome = event
    return f"turn {turn}, {time:g} s: {who} {what}" + ("" if outcome is None else f": {outcome}")
