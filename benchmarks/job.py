"""A job: what a benchmark is given, and the stopwatch that it holds.

A benchmark is an async function from a `Job` to the number of operations that it really did::

    async def sleep_zero(job: Job) -> int:
        with job.timed():
            for _ in range(job.n):
                await asyncio.sleep(0)
        return job.n

Setting up and tearing down stand outside the ``with``, so they cost nothing. The returned count is
compared with what was asked: a loop that skips work gets an error in the table, not a good figure.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.statistics import percentile

__all__ = ["INSTRUCTIONS", "LATE", "Job", "Sample", "Shape", "WorkNotDoneError"]


# The unit of a row that tells how late things were: seconds, too, but not those that the work took.
LATE = "s late"
# The unit of a row whose instructions were counted, whatever it measures by the clock.
INSTRUCTIONS = "instructions"
# The least delay that counts. Some loops round to milliseconds, and strike a little early: that is
# no delay, and a ratio needs a cost that is not zero.
GRAIN = 1e-6  # seconds


class WorkNotDoneError(Exception):
    """A benchmark returned without having done the operations that it was asked for."""


@dataclass(frozen=True)
class Shape:
    """How large a benchmark is made. Zero means that the benchmark has no such dimension."""

    size: int = 0  # bytes in one message
    connections: int = 0  # sockets that are open at once
    count: int = 0  # whatever else is counted: timers, tasks, pages
    percentile: int = 0  # of the delays inside of a sample, which is its figure; 100: the worst

    def label(self) -> str:
        """The part of a row's name that tells this shape from its neighbours; may be empty."""
        parts = []
        if self.size:
            parts.append(f"{self.size // 1024}KiB" if self.size >= 1024 else f"{self.size}B")
        if self.connections:
            parts.append(f"x{self.connections}")
        if self.count:
            parts.append(str(self.count))
        if self.percentile:
            names = {50: "median", 100: "worst"}
            parts.append(names.get(self.percentile, f"p{self.percentile}"))
        return "-".join(parts)


@dataclass(frozen=True)
class Sample:
    """What one turn of one contestant gave: totals for `n` operations."""

    n: int
    # Seconds, or bytes where the benchmark weighs memory. For delays, `n` times the figure.
    value: float
    cpu: float  # seconds of processor time that the process with the loop in it took
    far_end_cpu: float = 0.0  # the same of the process at the far end, where there is one


class Job:
    """How much to do, in which shape, against whom; and how long it took."""

    def __init__(
        self,
        n: int,
        shape: Shape | None = None,
        far_end: tuple[str, int] | None = None,
        far_end_processor: int | None = None,
    ) -> None:
        self.n = n
        self.shape = shape or Shape()
        self._far_end = far_end
        self.far_end_processor = far_end_processor  # where it is to stay; None: anywhere
        self._value: float | None = None
        self._cpu = 0.0
        self._far_end_cpu = 0.0

    @property
    def size(self) -> int:
        """Bytes in one message."""
        return self.shape.size

    @property
    def connections(self) -> int:
        """Sockets that are open at once."""
        return self.shape.connections

    @property
    def far_end(self) -> tuple[str, int]:
        """Host and port at which the far end takes orders."""
        if self._far_end is None:
            raise LookupError("this job has no far end: declare the benchmark with far_end=True")
        return self._far_end

    @contextmanager
    def timed(self) -> Iterator[None]:
        """The operations stand inside; everything else outside."""
        cpu = time.process_time()
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.record(seconds, cpu=time.process_time() - cpu)

    def record(self, value: float, *, cpu: float = 0.0, far_end_cpu: float = 0.0) -> None:
        """Note a figure that was measured some other way: by the far end, or in bytes."""
        if self._value is not None:
            raise RuntimeError("a job is measured once, and this one was measured before")
        self._value = value
        self._cpu = cpu
        self._far_end_cpu = far_end_cpu

    def record_delays(self, delays: Sequence[float]) -> None:
        """Note how late each operation was, in seconds: the figure is the shape's percentile."""
        counted = [max(GRAIN, delay) for delay in delays]
        # Of a sample everybody takes the n-th part.
        self.record(percentile(counted, self.shape.percentile) * self.n)

    def note_far_end(self, cpu: float) -> None:
        """Note the processor time of a far end that was the server, and so did not keep time."""
        self._far_end_cpu = cpu

    def finish(self, done: int) -> Sample:
        """Check that the work was done and hand out the figures.

        Raises `WorkNotDoneError` where `done` is not `n`, or where nothing was measured.
        """
        if done != self.n:
            raise WorkNotDoneError(f"{done} operations were done where {self.n} were asked for")
        if self._value is None:
            raise WorkNotDoneError("the benchmark measured nothing: wrap its work in job.timed()")
        return Sample(self.n, self._value, self._cpu, self._far_end_cpu)
