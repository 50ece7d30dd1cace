"""miniloop and asyncio do the same, whatever the program."""

from __future__ import annotations

import gc
import multiprocessing
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.clocks import LOOPS
from tests.differential.comparison import Difference, compare, first_difference
from tests.differential.generator import generate, program_of_seed
from tests.differential.interpreter import run_program
from tests.differential.language import CancelAt, Program

# Programs for every run, in parts that end within a test's time limit; the same ones each time.
# The later parts look for bugs of the loop that are rare, and hardly for those of one Python.
IN_A_PART = 1000
PARTS = 10
ON_EVERY_PYTHON = 3

SOAK = 1_000_000
# The programs of a soak are others each time. Their numbers begin here.
NEVER_SEEN = 10**9


def no_difference(found: Difference | None) -> None:
    assert found is None, str(found.smallest())


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "part",
    [
        *range(ON_EVERY_PYTHON),
        *(pytest.param(n, marks=pytest.mark.one_python) for n in range(ON_EVERY_PYTHON, PARTS)),
    ],
)
def test_random_programs_do_the_same_on_both_loops(part: int) -> None:
    no_difference(first_difference(range(part * IN_A_PART, (part + 1) * IN_A_PART)))


@pytest.mark.timeout(120)
@settings(
    max_examples=150,  # each costs as much as ten of the random ones
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.randoms(use_true_random=False).map(generate))
def test_programs_by_hypothesis_do_the_same_on_both_loops(program: Program) -> None:
    difference = compare(program)
    assert difference is None, str(difference)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(100_000, 100_010))
def test_a_task_may_be_cancelled_at_every_point(seed: int) -> None:
    # Each task of the program, at the beginning of each turn.
    program = replace(program_of_seed(seed), cancels=())
    trace = run_program(program, LOOPS["asyncio"])
    turns = trace.events[-1][0]
    tasks = sum(what == "begins" for *_, what, _ in trace.events)
    for turn in range(1, turns + 1):
        for task in range(tasks):
            cancelled = replace(program, cancels=(CancelAt(turn, task, "here"),))
            no_difference(compare(cancelled))


def _part(seeds: range) -> Difference | None:
    gc.freeze()  # each program collects: what was imported need not be looked at each time
    return first_difference(seeds)


@pytest.mark.soak
def test_a_million_random_programs_do_the_same_on_both_loops(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = random.SystemRandom().randrange(NEVER_SEEN, 2 * NEVER_SEEN)
    parts = [range(seed, seed + IN_A_PART) for seed in range(first, first + SOAK, IN_A_PART)]
    with capsys.disabled(), multiprocessing.get_context("spawn").Pool() as pool:
        print(f"\nprograms {first} to {first + SOAK - 1}", flush=True)
        for number, difference in enumerate(pool.imap(_part, parts), start=1):
            no_difference(difference)
            if number % 10 == 0:
                print(f"{number * IN_A_PART} without a difference", flush=True)
