"""How a recorder notes what never passes the ready queue. `probing` calls these functions."""

from __future__ import annotations

import sys
from typing import Any

from miniloop.kernel.handle import Handle
from miniloop.study.numbering import describe_error
from miniloop.study.queueing import Noting
from miniloop.study.records import (
    BUSY,
    CANCEL,
    FAILED,
    FINISHED,
    IDLE,
    TIMER_CANCELLED,
    UNSEEN,
    UNWATCHED,
    WATCHED,
)

__all__ = [
    "call_begins",
    "call_ends",
    "cancels",
    "fails",
    "finishes",
    "is_unseen",
    "names",
    "timer_cancelled",
    "unwatches",
    "watches",
]

_getframe = sys._getframe


def timer_cancelled(recorder: Noting, handle: Any) -> None:
    """A timer that is in the heap is about to be cancelled."""
    number = recorder.numbers.by_address.pop(id(handle), None)
    if number is not None:
        recorder.numbers.remember_cancelled(number, handle)
        recorder.note(TIMER_CANCELLED, number, recorder.places.of_caller(_getframe(1)))


def finishes(recorder: Noting, future: Any, outcome: int, error: Any) -> None:
    """A future that is no task is about to be finished."""
    number = recorder.numbers.by_address.pop(id(future), None)
    if number is None:
        number = recorder.numbers.of_passing_future(future)
    recorder.finished = number
    if isinstance(error, BaseException):
        recorder.numbers.remember_failure(number, error)
    recorder.note(FINISHED, number, outcome, recorder.places.of_caller(_getframe(1)))


def cancels(recorder: Noting, task: Any) -> None:
    """The cancellation of a task is requested."""
    number = recorder.numbers.of_entry(task)
    recorder.note(CANCEL, number, recorder.places.of_caller(_getframe(1)))


def names(recorder: Noting, task: Any, name: str) -> None:
    """A task is about to be given a name."""
    recorder.numbers.will_be_named(task, name)


def fails(recorder: Noting, error: BaseException) -> None:
    """The callback that runs has raised."""
    place = recorder.places.of_failure(error)
    recorder.put((FAILED, place, *describe_error(error)))


def is_unseen(recorder: Noting, error: BaseException) -> None:
    """The end of a task or a future is reported, as nobody has looked at it."""
    number = recorder.numbers.of_failed(error)
    recorder.put((UNSEEN, number, *describe_error(error)))


def watches(recorder: Noting, fd: int, entry: Any, bits: int) -> None:
    """A descriptor is watched from now on for a handle or a future."""
    descriptor = recorder.numbers.of_descriptor(fd)
    if issubclass(type(entry), Handle):
        number, what = recorder.numbers.of_reader(entry), recorder.numbers.what(entry._callback)
    else:
        number, what = recorder.numbers.of_future(entry), -1
    place = recorder.places.of_caller(_getframe(1))
    recorder.note(WATCHED, descriptor, bits, number, what, place)


def unwatches(recorder: Noting, fd: int, bits: int) -> None:
    """A descriptor is about to be watched no more."""
    recorder.note(UNWATCHED, recorder.numbers.of_descriptor(fd), bits)


def call_begins(recorder: Noting, future: Any) -> None:
    """A call is given to an executor."""
    number = recorder.numbers.calls[id(future)] = recorder.numbers.of_future(future)
    place = recorder.places.of_caller(_getframe(1))
    recorder.note(BUSY, number, place, len(recorder.numbers.calls))


def call_ends(recorder: Noting, future: Any) -> None:
    """The loop hears that it is over."""
    number = recorder.numbers.calls.pop(id(future), None)
    if number is not None:
        recorder.note(IDLE, number, len(recorder.numbers.calls))
