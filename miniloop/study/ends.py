"""How the step of a task has ended: the task yielded, it waits, or it is done.

A step is over when the next entry is about to be taken. The task's state then shows how it ended.
"""

from __future__ import annotations

from typing import Any

from miniloop.kernel.future import CANCELLED, PENDING
from miniloop.study.numbering import describe_error
from miniloop.study.queueing import Noting
from miniloop.study.records import (
    BY_CANCEL,
    BY_EXCEPTION,
    BY_RESULT,
    GAVE_WAY,
    TASK_ENDED,
    WAITS,
)

__all__ = ["note_end_of_step"]


def note_end_of_step(recorder: Noting, task: Any) -> None:
    """Note how the step that `task` has taken last has ended."""
    if task._state != PENDING:
        _note_end_of_task(recorder, task)
        return
    place = recorder.places.of_coroutine(task._coro)
    waiter = task._fut_waiter
    if waiter is None:
        recorder.put((GAVE_WAY, place))
    else:
        recorder.put((WAITS, place, recorder.numbers.of_future(waiter)))


def _note_end_of_task(recorder: Noting, task: Any) -> None:
    number = recorder.numbers.by_address.pop(id(task), -1)
    recorder.numbers.tell_name(number, task)
    error = task._exception
    if task._state == CANCELLED:
        recorder.put((TASK_ENDED, BY_CANCEL, -1, 0))
    elif error is None:
        recorder.put((TASK_ENDED, BY_RESULT, -1, 0))
    else:
        recorder.numbers.remember_failure(number, error)
        place = recorder.places.of_failure(error, getattr(task, "_traceback", None))
        recorder.put((TASK_ENDED, BY_EXCEPTION, place, *describe_error(error)))
