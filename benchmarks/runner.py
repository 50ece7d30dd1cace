"""Who runs when: fair turns for every loop.

What makes one loop look faster than another when it is not, and what is done about it:

- **The machine drifts.** Clock speed, temperature and other people's work change from second to
  second. So loops take turns, A B C A B C, a sample each of about a tenth of a second; each is
  compared with the reference in its own round, and the median is taken over rounds. All do the
  same number of operations, found by a try on the reference.
- **A process has luck.** Where its memory lies and how its strings hash stays the same for as long
  as it lives, and is worth some per cent either way. More samples of one process do not help. So
  the rounds of a row are spread over several *generations* of processes; each starts anew.
- **The reference has luck too.** It is run twice, as itself and as its own *control*, which is
  treated like any other loop and comes last in each round. The control's ratio ought to be 1. Where
  1 lies outside of its spread, the row is marked: its other ratios are off by about as much.
- **The interpreter learns.** CPython specialises bytecode for the types that it sees, per process.
  A process that has run thirty other benchmarks has learnt other things than one that has run none,
  and its heap is in another state. So a process runs one row on one loop and nothing else; all of
  a generation are started together, each throws its first sample away, and while one is at work
  the others sleep in a ``read``.
- **Garbage.** What the sample before left behind is collected before the clock starts. The
  collector then stays *on*, as in real programs: who makes more objects pays for more collections.
- **The far end** is one process for all (``benchmarks.peers``), without an event loop in it.
- **Work not done** is an error, not a record: every benchmark counts what it did (``job.py``).
- **Places.** In the rows of sockets and of fairness that have a far end, the loop and the far end
  keep to a processor each (``processors.py``); where they are is worth more than which loop it is.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from benchmarks.catalogue import Program, Row
from benchmarks.job import LATE, Sample
from benchmarks.loops import Loop, control_of
from benchmarks.results import ON, RowResult

__all__ = ["Contestant", "Plan", "Worker", "WorkerFailedError", "contestants", "run_row"]


class WorkerFailedError(Exception):
    """A sample could not be taken: the benchmark raised, ended its process or never ended."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int = 9
    generations: int = 3  # of processes; the rounds are shared out among them
    seconds: float = 0.1  # that a sample on the reference should take
    patience: float = 30.0  # seconds after which a sample is given up

    def for_row(self, row: Row) -> Plan:
        """The plan as far as this row can bear it."""
        if row.slow:
            return replace(self, rounds=min(self.rounds, 3), generations=1, patience=600.0)
        return replace(self, generations=self.rounds) if row.fresh else self

    def generation_sizes(self) -> list[int]:
        """How many rounds each generation of processes runs."""
        generations = min(self.generations, self.rounds)
        each, more = divmod(self.rounds, generations)
        return [each + (place < more) for place in range(generations)]


@dataclass(frozen=True)
class Contestant:
    """A program on a loop, and what it is called in the table."""

    label: str
    program: Program
    loop: Loop


def contestants(row: Row, loops: Sequence[Loop], reference: Loop) -> list[Contestant]:
    """Who takes part in `row`, the reference first and its control last."""
    entered: list[Contestant] = []
    for program in row.programs:
        for loop in loops:
            if loop.limit and not row.limit:
                continue
            if all(importlib.util.find_spec(module) for module in program.requires) and (
                not program.loops or loop.name in program.loops
            ):
                entered.append(Contestant(_label(program, loop), program, loop))
    first = _label(row.program(row.reference), reference)
    entered.sort(key=lambda contestant: contestant.label != first)
    control = control_of(reference)
    program = row.program(row.reference)
    return [*entered, Contestant(_label(program, control), program, control)]


def _label(program: Program, loop: Loop) -> str:
    return f"{program.name}{ON}{loop.name}" if program.name else loop.name


class Worker:
    """The parent's side of ``benchmarks.worker``: a process that takes samples when told to."""

    def __init__(self, row: Row, contestant: Contestant, far_end: tuple[str, int] | None) -> None:
        address = [far_end[0], str(far_end[1])] if far_end and row.far_end else []
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.worker"),
                *(row.name, contestant.program.name, contestant.loop.name, *address),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **dict(contestant.loop.environment)},
        )

    def sample(self, n: int, patience: float) -> Sample:
        """One sample of `n` operations. Raises `WorkerFailedError`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(n, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise WorkerFailedError(f"the process ended with code {self._process.wait()}") from None
        readable, _, _ = select.select([self._process.stdout], [], [], patience)
        if not readable:
            raise WorkerFailedError(f"no answer within {patience:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailedError(f"the process ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerFailedError(answer["error"])
        return Sample(**answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # the process is gone already, and the sample that noticed has said so
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it is stuck in a benchmark
            self._process.wait()
        self._process.stdout.close()


def run_row(
    row: Row,
    entered: Sequence[Contestant],
    plan: Plan,
    far_end: tuple[str, int] | None,
    n: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    hire: Callable[[Row, Contestant, tuple[str, int] | None], Worker] | None = None,
) -> RowResult:
    """Run all the rounds of one row. `n` is found by a try where it is not given.

    `hire` makes the workers; by default they are processes. A contestant that fails is left out
    from there on, with its reason in the result's `errors`.
    """
    result = RowResult.empty(row, reference=entered[0].label, control=entered[-1].label)
    racing = list(entered)
    plan = plan.for_row(row)
    for rounds in plan.generation_sizes():
        with ExitStack() as stack:
            workers = {
                contestant.label: stack.enter_context((hire or Worker)(row, contestant, far_end))
                for contestant in racing
            }
            if n is None:
                n = _calibrate(row, workers[racing[0].label], plan) if racing else row.step
            warm_ups = 0 if row.fresh or row.slow else 1
            for number in range(warm_ups + rounds):
                for contestant in list(racing):
                    try:
                        sample = workers[contestant.label].sample(n, plan.patience)
                    except WorkerFailedError as error:
                        say(f"{row.name}: {contestant.label}: {error}")
                        racing.remove(contestant)
                        result.fail(contestant.label, str(error))
                    else:
                        if number >= warm_ups:
                            result.add(contestant.label, sample)
    return result


def _calibrate(row: Row, worker: Worker, plan: Plan) -> int:
    """The number of operations, a multiple of the row's step, that takes about `plan.seconds`."""
    n = row.step
    # How late things were says nothing about how long the sample took.
    if row.fresh or row.slow or row.unit == LATE:
        return n
    try:
        while True:
            seconds = worker.sample(n, plan.patience).value
            if seconds >= plan.seconds / 2:
                break
            # Far too short to be exact: go up by at most ten at a time.
            n *= max(2, min(10, math.ceil(plan.seconds / seconds)))
    except WorkerFailedError:
        return n  # the warm-up will fail as well, and is where failures are written down
    return row.step * max(1, round(n * plan.seconds / seconds / row.step))
