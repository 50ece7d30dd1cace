"""The log of a recorder: the numbers that it has noted, and when they are written.

A block is written when a turn begins and there are enough of them, or when the loop is about to
sleep or to end and the last time was a while ago.

Invariant: what has been put into the log is written, unless a ring drops it; also when the loop is
collected before its recorder was taken out.

The trap: a signal's handler may end the recording while a block is being written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any
from weakref import finalize

__all__ = ["BLOCK", "Log", "Write"]

# Is given the records, and how many turns and steps began in them.
Write = Callable[[list[int], int, int], object]

# A block of more numbers than this is written when a turn begins. (The recorder asks, and not a
# method of the log: a call for each turn would cost more than the question.)
BLOCK = 1 << 14

# Nanoseconds. Before a sleep the log is written, unless it was written less than this ago.
WRITE_EVERY = 100_000_000


class Log:
    """Records that are not written yet.

    `put` adds a record in one call, which no other thread and no signal interrupts. A block has no
    more than `most_turns` turns. When `owner` is collected, the rest is written.
    """

    __slots__ = (
        "_flushing",
        "_write",
        "_written",
        "most_turns",
        "numbers",
        "put",
        "steps",
        "turns",
    )

    def __init__(self, write: Write, owner: Any, *, now: int, most_turns: int | None) -> None:
        self.numbers: list[int] = []
        self.put: Callable[[tuple[int, ...]], object] = self.numbers.extend
        self.turns = self.steps = 0  # in this block
        self._write = write
        self._written = now  # when, in nanoseconds
        self._flushing = False
        self.most_turns = sys.maxsize if most_turns is None else most_turns
        finalize(owner, _write_rest, self.numbers, write).atexit = False

    def is_late(self, now: int) -> bool:
        """Whether the last block was written long ago."""
        return now - self._written > WRITE_EVERY

    def flush(self, begin: Callable[[], object]) -> None:
        """Write the records that there are, and have `begin` put what the next block begins with.

        Does nothing if that is being done already: a signal's handler has come in between.
        """
        if self._flushing:
            return
        self._flushing = True
        try:
            self._written = perf_counter_ns()
            turns, self.turns = self.turns, 0
            steps, self.steps = self.steps, 0
            _write_rest(self.numbers, self._write, turns, steps)
            begin()
        finally:
            self._flushing = False


def _write_rest(numbers: list[int], write: Write, turns: int = 0, steps: int = 0) -> None:
    size = len(numbers)
    if size:
        data = numbers[:size]
        del numbers[:size]
        write(data, turns, steps)
