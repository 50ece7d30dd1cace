"""The smallest schedule that still fails."""

from __future__ import annotations

from miniloop.testing.minimise import minimise
from miniloop.testing.schedule import HOLD, Departure, Schedule
from tests.builds import pure_only

pytestmark = pure_only


def hold(run: int, length: int = 5) -> Departure:
    return Departure(HOLD, "task", run, length)


def test_only_what_matters_is_left() -> None:
    needed = {hold(3), hold(11)}
    schedule = Schedule(hold(run) for run in range(20))
    smallest = minimise(
        schedule,
        lambda each: {(one.who, one.run) for one in needed} <= {(d.who, d.run) for d in each},
    )
    assert [each.run for each in smallest] == [3, 11]


def test_nothing_is_left_if_nothing_matters() -> None:
    assert minimise(Schedule([hold(1), hold(2)]), lambda each: True) == Schedule()


def test_holds_are_made_as_short_as_will_do() -> None:
    def fails(schedule: Schedule) -> bool:
        return any(each.length >= 3 or each.length == 0 for each in schedule)

    assert minimise(Schedule([hold(1, 0)]), fails) == Schedule([hold(1, 3)])


def test_the_number_of_tries_is_bounded() -> None:
    tried = []

    def fails(schedule: Schedule) -> bool:
        tried.append(schedule)
        return False

    minimise(Schedule(hold(run) for run in range(1000)), fails, tries=50)
    assert len(tried) == 50
