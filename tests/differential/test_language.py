"""Programs are as they should be: readable, repeatable, of every kind, easy to make smaller."""

from __future__ import annotations

import random
import sys

import pytest

from miniloop.kernel.task import Task
from tests.builds import pure_only
from tests.differential import language, steps
from tests.differential.clocks import LOOPS
from tests.differential.comparison import compare, first_difference
from tests.differential.generator import program_of_seed
from tests.differential.interpreter import run_program
from tests.differential.language import Child, Program
from tests.differential.shrinking import shrink
from tests.differential.steps import Gather, Look, Sleep, Spawn, Stop, Try


@pytest.mark.parametrize("seed", range(20))
def test_a_program_can_be_copied_from_its_text(seed: int) -> None:
    program = program_of_seed(seed)
    assert eval(repr(program), vars(language) | vars(steps)) == program


@pytest.mark.parametrize("seed", range(20))
def test_a_number_always_stands_for_the_same_program(seed: int) -> None:
    first = program_of_seed(seed)
    random.seed(seed + 1)  # nobody else's randomness matters
    assert program_of_seed(seed) == first


@pytest.mark.parametrize("loop", LOOPS)
def test_a_program_does_the_same_every_time(loop: str) -> None:
    for seed in range(100):
        program = program_of_seed(seed)
        traces = [run_program(program, LOOPS[loop]) for _ in range(3)]
        assert traces[0] == traces[1] == traces[2], program


@pytest.mark.timeout(120)
def test_every_kind_of_step_is_done_before_long() -> None:
    left = set(steps.__all__)
    if sys.version_info < (3, 13):
        left.remove("ShutDownQueue")
    left.remove("Raise")  # whose outcome is not noted, but raised
    for seed in range(2000):
        trace = run_program(program_of_seed(seed), LOOPS["miniloop"])
        left -= {what for _, _, _, what, outcome in trace.events if _went_well(outcome)}
        if not left:
            break
    assert not left


def _went_well(outcome: object) -> bool:
    # An exception is written as its name, and "nobody" or "nothing" was there to work on.
    return not isinstance(outcome, str) or not ("Error" in outcome or outcome.startswith("no"))


def test_shrinking_leaves_what_matters() -> None:
    nested = Try((Sleep(2), Gather((Child((Look(), Stop())),), True)), None, (), (Sleep(5),))
    program = Program((Sleep(1), Spawn((nested,), "plain"), Look()), debug=True, patient=True)
    smallest = shrink(program, lambda smaller: "Stop" in repr(smaller))
    assert smallest == Program((Stop(),))


@pure_only
def test_a_difference_is_made_small_and_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "cancelling", lambda self: 7)
    difference = first_difference(range(100))
    assert difference is not None
    smallest = difference.smallest()
    assert compare(smallest.program) is not None
    assert len(repr(smallest.program)) < 200
    text = str(smallest)
    assert repr(smallest.program) in text
    assert "\nasyncio:  turn " in text
    assert "\nminiloop: turn " in text
    assert f"python -m tests.differential {difference.seed}" in text
