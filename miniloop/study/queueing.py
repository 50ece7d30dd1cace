"""Why an entry is queued: that is known by which function calls `enqueue`.

Each way into the ready queue goes by a function of the kernel, and a function has one reason. So
the frame that calls says why, and the frames behind it from which line of the program.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from types import FrameType, MethodType
from typing import Any, Protocol

from miniloop.kernel.handle import Handle
from miniloop.kernel.poller import Poller
from miniloop.kernel.scheduler import Scheduler
from miniloop.kernel.task import Task, new_task
from miniloop.kernel.timers import TimerQueue
from miniloop.loop import EventLoop
from miniloop.study.numbering import Numbers, is_task, nanoseconds, task_of_step
from miniloop.study.places import OURS, Places
from miniloop.study.records import (
    BY_RESULT,
    CALLED,
    CALLED_BACK,
    CREATED,
    DUE,
    FINISHED,
    FOUND_READY,
    HANDED,
    QUEUED,
    SIGNALLED,
    WOKEN,
)
from miniloop.system.executor import CallInThread
from miniloop.system.signals import SignalHandlers

__all__ = ["Noting", "note_handed_over", "note_why_queued"]


class Noting(Protocol):
    """A recorder, as seen by whatever has something to note."""

    numbers: Numbers
    places: Places
    loop: EventLoop
    finished: int  # the future that is just being finished

    put: Callable[[tuple[int, ...]], object]  # a record as it is

    def note(self, *record: int) -> None:
        """Note a record that ends with the time, which is added."""

    def since_last(self) -> int:
        """Nanoseconds since the last record with a time."""

    def is_under_way(self, task: Any) -> bool:
        """Whether the step that was begun last is one of this task."""

    def close_step(self) -> None:
        """Note how the step that was begun last has ended."""

    def count_step(self) -> None:
        """Count an eager step: those of the queue are counted as their turn begins."""


def note_why_queued(recorder: Noting, entry: Any, frame: FrameType) -> None:
    """Note that `entry` is queued, by the function that `frame` runs."""
    reason = _REASONS.get(id(frame.f_code))
    while reason is None and recorder.places.owner_of(frame.f_code) == OURS:
        # Debug mode, or another observer, stands in between.
        assert frame.f_back is not None
        frame = frame.f_back
        reason = _REASONS.get(id(frame.f_code))
    (_queued_otherwise if reason is None else reason)(recorder, entry, frame)


def note_handed_over(recorder: Noting, entry: Any, frame: FrameType) -> None:
    """Note what `call_soon_threadsafe` queues: for a thread, or in the loop's own."""
    numbers, callback = recorder.numbers, entry._callback
    what, place = numbers.what(callback), recorder.places.of_caller(frame)
    thread = threading.get_ident()
    if recorder.loop._thread_id in (None, thread):
        recorder.note(CALLED, numbers.of_new_handle(entry), what, place)
        return
    call = -1
    if type(callback) is MethodType and type(callback.__self__) is CallInThread:
        call = numbers.calls.get(id(callback.__self__), -1)
    by = numbers.of_thread(thread)
    number = numbers.by_address[id(entry)] = numbers.new()
    recorder.put((HANDED, number, what, place, by, call, recorder.since_last()))


def _gave_way(recorder: Noting, entry: Any, frame: FrameType) -> None:
    pass


def _called(recorder: Noting, entry: Any, frame: FrameType) -> None:
    callback = entry._callback
    what, place = recorder.numbers.what(callback), recorder.places.of_caller(frame)
    if (task := task_of_step(callback)) is not None:
        _step_of_foreign_task(recorder, entry, task, what, place)
        return
    number = recorder.numbers.of_new_handle(entry)
    if recorder.numbers.steps and id(entry) in recorder.numbers.steps:
        _woken_by_foreign(recorder, entry, number, place)
        return
    recorder.note(CALLED, number, what, place)


def _step_of_foreign_task(recorder: Noting, entry: Any, task: Any, what: int, place: int) -> None:
    """A task of asyncio's own class is to go on: it has a handle for each of its steps."""
    future = entry._args[0] if entry._args else None
    if not asyncio.isfuture(future) and id(task) not in recorder.numbers.by_address:
        number = recorder.numbers.of_new_task(task)
        recorder.note(CREATED, number, what, place)
        recorder.numbers.tell_name(number, task)
        recorder.numbers.of_new_handle(entry)
        return
    number = recorder.numbers.of_new_handle(entry)
    if recorder.is_under_way(task):
        pass  # it yields: the end of the step says so
    elif is_task(future):
        recorder.note(WOKEN, number, recorder.numbers.of_future(future))
    elif asyncio.isfuture(future):
        _woken_by_foreign(recorder, entry, number, place)
    else:
        recorder.note(QUEUED, number, what, place)


def _woken_by_foreign(recorder: Noting, entry: Any, task: int, place: int) -> None:
    """A future of another make is done: no probe reports that."""
    future = recorder.numbers.by_address.pop(id(entry._args[0]), None)
    if future is None:
        future = recorder.numbers.of_passing_future(entry._args[0])
    recorder.note(FINISHED, future, BY_RESULT, place)
    recorder.note(WOKEN, task, future)


def _created(recorder: Noting, task: Any, frame: FrameType) -> None:
    number = recorder.numbers.by_address[id(task)] = recorder.numbers.new()
    what, place = recorder.numbers.what(task._coro), recorder.places.of_caller(frame)
    recorder.note(CREATED, number, what, place)
    if task._name is not None:
        recorder.numbers.tell_name(number, task)


def _woken(recorder: Noting, task: Any, frame: FrameType) -> None:
    number, future = recorder.numbers.of_entry(task), _future_done(recorder, task._fut_waiter)
    recorder.note(WOKEN, number, future)


def _called_back(recorder: Noting, handle: Any, frame: FrameType) -> None:
    if task_of_step(handle._callback) is not None:
        number = recorder.numbers.of_new_handle(handle)
        recorder.note(WOKEN, number, _future_done(recorder, handle._args[0]))
        return
    what = recorder.numbers.what(handle._callback)
    number, future = recorder.numbers.of_new_handle(handle), _future_done(recorder, handle._args[0])
    recorder.note(CALLED_BACK, number, what, future)


def _future_done(recorder: Noting, future: Any) -> int:
    """The number of a future that is done: a task, or the one that is just being finished."""
    number = recorder.numbers.by_address.get(id(future))
    return recorder.finished if number is None else number


def _due(recorder: Noting, timer: Any, frame: FrameType) -> None:
    recorder.close_step()
    what, number = (
        recorder.numbers.what(timer._callback),
        recorder.numbers.by_address.get(id(timer)),
    )
    if number is None:
        number = recorder.numbers.of_new_handle(timer)
    late = nanoseconds(recorder.loop.time() - timer._when)
    recorder.note(DUE, number, what, late)


def _found_ready(recorder: Noting, handle: Any, frame: FrameType) -> None:
    number = recorder.numbers.by_address[id(handle)] = recorder.numbers.of_reader(handle)
    what = recorder.numbers.what(handle._callback)
    recorder.note(FOUND_READY, number, what)


def _signalled(recorder: Noting, handle: Any, frame: FrameType) -> None:
    number = recorder.numbers.by_address[id(handle)] = recorder.numbers.of_reader(handle)
    what = recorder.numbers.what(handle._callback)
    handlers = recorder.loop._signal_handlers
    signal = next((signal for signal in handlers if handlers[signal] is handle), 0)
    recorder.note(SIGNALLED, number, what, signal)


def _queued_otherwise(recorder: Noting, entry: Any, frame: FrameType) -> None:
    place = recorder.places.of_caller(frame)
    if is_task(entry):
        what, number = recorder.numbers.what(entry._coro), recorder.numbers.of_entry(entry)
    else:
        what = recorder.numbers.what(entry._callback)
        number = recorder.numbers.of_new_handle(entry)
    recorder.note(QUEUED, number, what, place)


# Each function that calls `enqueue` has one reason. (By address: the hash of a code is slow.)
_REASONS: dict[int, Callable[[Noting, Any, FrameType], None]] = {
    id(Task._run.__code__): _gave_way,
    id(Task._wait_for.__code__): _gave_way,
    id(Task._wait_for_foreign.__code__): _gave_way,
    id(Task._wake.__code__): _woken,
    id(Handle._wake.__code__): _called_back,
    id(Scheduler.call_soon.__code__): _called,
    id(new_task.__code__): _created,
    id(vars(sys.modules[Task.__module__])["_schedule"].__code__): _created,
    id(TimerQueue.pop_due.__code__): _due,
    id(Poller.deliver.__code__): _found_ready,
    id(SignalHandlers.deliver.__code__): _signalled,
}
