"""`schedules()`: a strategy of Hypothesis that gives schedules.

    @given(miniloop.testing.schedules())
    def test_transfer(schedule):
        miniloop.testing.run_schedule(transfer, schedule)

Departures are by the number of the step, as labels are not known before the run. They shrink to
fewer, earlier and shorter ones; the simplest schedule is FIFO.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from miniloop.testing.schedule import HOLD, LATE, Departure, Schedule

__all__ = ["schedules"]


def schedules(*, departures: int = 6, steps: int = 120, lateness: bool = True) -> Any:
    """A strategy that gives a `Schedule` with up to so many `departures`, within so many steps.

    `lateness`: whether steps may be slow, beside tasks being held back.
    """
    number = st.integers(1, steps)
    hold = st.builds(Departure, st.just(HOLD), st.just(""), number, st.integers(1, 48))
    each = hold
    if lateness:
        late = st.builds(Departure, st.just(LATE), st.just(""), number, st.integers(1, 3))
        each = st.one_of(hold, late)
    return st.lists(each, max_size=departures, unique_by=lambda one: (one.kind, one.run)).map(
        Schedule
    )
