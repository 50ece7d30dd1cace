"""First steps of eager tasks, as a recorder notes them: each is taken inside of another step.

`create_task` takes such a step before it returns, so the step of its caller is not over yet.
`numbers.eager` has the steps that are under way, the innermost last.

The kernel makes most eager tasks by a function that is a joint. The recorder does not see the task
before that returns. Other eager tasks are begun by their class, which `probing` sees.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from miniloop.study.ends import note_end_of_step
from miniloop.study.numbering import is_task
from miniloop.study.queueing import Noting
from miniloop.study.records import BY_RESULT, EAGER, TASK_ENDED

__all__ = ["begins_eagerly", "ends_eagerly", "make_eagerly"]

_getframe = sys._getframe


def make_eagerly(recorder: Noting, make: Callable[..., Any], *args: Any) -> Any:
    """A task that `make(loop, coro, name, context)` makes, which takes its first step in there."""
    coro = args[1]
    if type(coro) is not CoroutineType or recorder.loop._thread_id is None:
        return make(*args)  # as its class does
    begins_eagerly(recorder, coro, None)
    try:
        task = make(*args)
    except BaseException:
        ends_eagerly(recorder, None)
        raise
    ends_eagerly(recorder, task)
    return task


def begins_eagerly(recorder: Noting, coro: Any, task: Any) -> None:
    """The first step of `coro` begins, in `task`; None if that is not known yet."""
    numbers = recorder.numbers
    number = numbers.new()
    if task is not None:
        numbers.by_address[id(task)] = number
    what, place = numbers.what(coro), recorder.places.of_caller(_getframe(1))
    numbers.eager.append((number, task))
    recorder.count_step()
    recorder.note(EAGER, number, what, place)


def ends_eagerly(recorder: Noting, task: Any) -> None:
    """A first step is over, of this task, or (None) of the one that was begun last."""
    if not recorder.numbers.eager:
        return
    number, begun = recorder.numbers.eager.pop()
    task = begun if task is None else task
    if is_task(task):
        recorder.numbers.by_address[id(task)] = number
        note_end_of_step(recorder, task)
    else:
        recorder.put((TASK_ENDED, BY_RESULT, -1, 0))
