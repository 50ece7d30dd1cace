"""Hypothesis drives schedules, and shrinks them."""

from __future__ import annotations

import gc

import pytest
from hypothesis import HealthCheck, find, given, settings

from miniloop.testing import Schedule, run_schedule, schedules
from tests.builds import pure_only
from tests.testing import programs

pytestmark = pure_only

QUICK = settings(
    max_examples=1000,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def fails(schedule: Schedule) -> bool:
    try:
        run_schedule(programs.lost_update, schedule)
    except AssertionError:
        return True
    return False


def test_it_finds_a_lost_update_and_shrinks_the_schedule() -> None:
    smallest = find(schedules(steps=60), fails, settings=QUICK)
    assert 1 <= len(smallest) <= 2


def test_a_correct_program_passes() -> None:
    @settings(QUICK, max_examples=30)
    @given(schedules())
    def check(schedule: Schedule) -> None:
        run_schedule(programs.correct, schedule, expect=3)

    check()


def test_the_simplest_schedule_is_fifo() -> None:
    assert find(schedules(), lambda schedule: True, settings=QUICK) == Schedule()


def test_a_departure_of_no_known_kind_is_refused() -> None:
    from miniloop.testing import Departure

    with pytest.raises(ValueError, match="kind"):
        Departure("jump", "", 1)


def test_an_example_does_not_have_the_whole_heap_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(gc, "collect", lambda generation=2: asked.append(generation) or 0)
    run_schedule(programs.correct, Schedule())
    assert asked
    assert max(asked) < 2
