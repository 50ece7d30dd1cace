"""All exercises, by the number of their step in the tour."""

from __future__ import annotations

from miniloop.study.check import (
    cancelling,
    descriptors,
    futures,
    marks,
    processes,
    queueing,
    sending,
    threads,
    timers,
    turns,
)
from miniloop.study.check.exercise import Exercise

__all__ = ["EXERCISES"]

EXERCISES: dict[int, Exercise] = {
    1: sending.EXERCISE,
    2: queueing.EXERCISE,
    3: futures.EXERCISE,
    4: timers.EXERCISE,
    5: descriptors.EXERCISE,
    6: threads.EXERCISE,
    7: cancelling.EXERCISE,
    8: marks.EXERCISE,
    9: processes.EXERCISE,
    10: turns.EXERCISE,
}
