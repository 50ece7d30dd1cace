"""Runs a program on both loops, and says where they differ, smallest first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import miniloop
from tests.differential.io.datagrams import Datagrams
from tests.differential.io.generating import program_of_seed
from tests.differential.io.known import Case, names_of
from tests.differential.io.pipes import Pipes
from tests.differential.io.processes import Processes
from tests.differential.io.program import Program
from tests.differential.io.sockets import Sockets
from tests.differential.io.streams import StreamReading, Streams
from tests.differential.io.world import PATIENCE, Notes, World, run_program

__all__ = ["KINDS", "Difference", "compare", "differences"]

KINDS: dict[str, Callable[[World], Any]] = {
    "streams": Streams,
    "reading": StreamReading,
    "datagrams": Datagrams,
    "pipes": Pipes,
    "sockets": Sockets,
    "processes": Processes,
}


def new_asyncio_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop()


@dataclass
class Difference:
    """A program with which the loops differ, in a way that is not known."""

    program: Program
    expected: Notes  # by asyncio
    found: Notes  # by miniloop
    entries: list[tuple[int, str]]
    known: Counter[str]  # what else there was, and has a name

    def smallest(self) -> Difference:
        """The smallest found with which they still do."""
        program, steps = self.program, list(self.program.steps)
        best = self
        size = len(steps)
        while size:
            for start in range(0, len(steps) - size + 1):
                fewer = steps[:start] + steps[start + size :]
                difference = compare(replace(program, steps=tuple(fewer)))
                if difference.entries:
                    steps, best = fewer, difference
                    break
            else:
                size -= 1
            size = min(size, len(steps))
        return best

    def __str__(self) -> str:
        lines = ["asyncio and miniloop differ in what this program does:", "", str(self.program)]
        for entry in self.entries:
            step, who = entry
            lines += [
                "",
                f"step {step}, {who}:",
                f"    asyncio:  {self.expected.get(entry, [])}",
                f"    miniloop: {self.found.get(entry, [])}",
            ]
        lines += ["", f"In full: python -m tests.differential.io {self.program.seed}"]
        return "\n".join(lines)


def compare(program: Program) -> Difference:
    """What is different; `entries` is empty if that is nothing, or all of it is known.

    A difference counts if it is there again when both loops are given real time after each turn:
    the machine may be busy, and its loopback late.
    """
    for patience in (0.0, PATIENCE):
        expected = run_program(program, new_asyncio_loop, KINDS, patience)
        found = run_program(program, miniloop.new_event_loop, KINDS, patience)
        difference = _difference(program, expected, found)
        if not difference.entries:
            break
    return difference


def _difference(program: Program, expected: Notes, found: Notes) -> Difference:
    known: Counter[str] = Counter()
    unknown = []
    for entry in sorted(expected.keys() | found.keys()):
        left, right = expected.get(entry, []), found.get(entry, [])
        if left == right:
            continue
        names = names_of(Case(program, entry[1], left, right, expected, found))
        known.update(names)
        if not names:
            unknown.append(entry)
    return Difference(program, expected, found, unknown, known)


def differences(seeds: Iterable[int], known: Counter[str] | None = None) -> list[Difference]:
    """Those of these programs with which the loops differ in a way that has no name."""
    found = []
    for seed in seeds:
        difference = compare(program_of_seed(seed))
        if known is not None:
            known.update(difference.known)
        if difference.entries:
            found.append(difference)
    return found
