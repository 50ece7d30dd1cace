"""What never passes the ready queue: probes tell the recorders of it.

The probes hold for the whole process. They are placed when the first recorder is put in, and
removed with the last; each asks the loop in question who records it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from miniloop.kernel.future import PENDING, Future
from miniloop.kernel.handle import Handle, TimerHandle
from miniloop.kernel.poller import Poller
from miniloop.kernel.probes import Probe, place_probes, remove_probes
from miniloop.kernel.report import ExceptionReporter
from miniloop.kernel.task import Task
from miniloop.loop import EventLoop
from miniloop.study.eager_steps import begins_eagerly, ends_eagerly
from miniloop.study.numbering import is_task
from miniloop.study.recorder import Recorder
from miniloop.study.records import BY_CANCEL, BY_EXCEPTION, BY_RESULT
from miniloop.study.telling import (
    call_begins,
    call_ends,
    cancels,
    fails,
    finishes,
    is_unseen,
    names,
    timer_cancelled,
    unwatches,
    watches,
)
from miniloop.system.executor import CallInThread

__all__ = ["probe_for_recorder", "stop_probing_for_recorder"]

Arguments = Mapping[str, Any]

_READ, _WRITE = 1, 2


def _recorders(loop: Any) -> list[Recorder]:
    if not issubclass(type(loop), EventLoop):
        return []
    return [observer for observer in loop._observers if type(observer) is Recorder]


def _recorders_of(thing: Any) -> list[Recorder]:
    return _recorders(getattr(thing, "_loop", None))


def _set_result(arguments: Arguments) -> None:
    future = arguments["self"]
    if future._state is PENDING and not is_task(future):
        for recorder in _recorders_of(future):
            finishes(recorder, future, BY_RESULT, None)


def _set_exception(arguments: Arguments) -> None:
    future, error = arguments["self"], arguments["exception"]
    if isinstance(error, type):
        is_exception = issubclass(error, BaseException)
    else:
        is_exception = isinstance(error, BaseException)
    if future._state is PENDING and is_exception and not is_task(future):
        for recorder in _recorders_of(future):
            finishes(recorder, future, BY_EXCEPTION, error)


def _cancel_future(arguments: Arguments) -> None:
    future = arguments["self"]
    if future._state is PENDING and not is_task(future):
        for recorder in _recorders_of(future):
            finishes(recorder, future, BY_CANCEL, None)


def _cancel_task(arguments: Arguments) -> None:
    task = arguments["self"]
    if task._state is PENDING:
        for recorder in _recorders_of(task):
            cancels(recorder, task)


def _set_name(arguments: Arguments) -> None:
    task, name = arguments["self"], arguments["value"]
    if type(name) is str:  # what becomes of others is seen at the end of the task
        for recorder in _recorders_of(task):
            names(recorder, task, name)


def _cancel_timer(arguments: Arguments) -> None:
    timer = arguments["self"]
    if timer._callback is not None and timer._scheduled:
        for recorder in _recorders_of(timer):
            timer_cancelled(recorder, timer)


# First steps inside of other steps: their tasks, the innermost last.
_eager = threading.local()


def _run_eagerly(arguments: Arguments) -> None:
    task = arguments["self"]
    vars(_eager).setdefault("tasks", []).append(task)
    for recorder in _recorders_of(task):
        begins_eagerly(recorder, task._coro, task)


def _ran_eagerly() -> None:
    tasks = vars(_eager).get("tasks")
    if tasks:
        task = tasks.pop()
        for recorder in _recorders_of(task):
            ends_eagerly(recorder, task)


def _report(arguments: Arguments) -> None:
    for recorder in _recorders_of(arguments["self"]):
        fails(recorder, arguments["exc"])


def _report_unseen(arguments: Arguments) -> None:
    context = arguments["context"]
    error = context.get("exception")
    if isinstance(error, BaseException) and str(context.get("message")).endswith("never retrieved"):
        for recorder in _recorders(arguments["loop"]):
            is_unseen(recorder, error)


def _poller_recorders(poller: Any) -> list[Recorder]:
    """Those of the loop that runs in this thread, if it is that loop's poller."""
    from asyncio import _get_running_loop

    loop = _get_running_loop()
    return [recorder for recorder in _recorders(loop) if getattr(loop, "poller", None) is poller]


def _watch_reader(arguments: Arguments) -> None:
    for recorder in _poller_recorders(arguments["self"]):
        watches(recorder, arguments["fd"], arguments["entry"], _READ)


def _watch_writer(arguments: Arguments) -> None:
    for recorder in _poller_recorders(arguments["self"]):
        watches(recorder, arguments["fd"], arguments["entry"], _WRITE)


def _wait_readable(arguments: Arguments) -> None:
    for recorder in _poller_recorders(arguments["self"]):
        watches(recorder, arguments["watch"].fd, arguments["waiter"], _READ)


def _wait_writable(arguments: Arguments) -> None:
    for recorder in _poller_recorders(arguments["self"]):
        watches(recorder, arguments["watch"].fd, arguments["waiter"], _WRITE)


def _unwatch(fd: int, poller: Any, bits: int) -> None:
    watch = poller.watches.get(fd)
    if watch is None:
        return
    bits &= (_READ if watch.reader is not None or watch.read_waiters else 0) | (
        _WRITE if watch.writer is not None or watch.write_waiters else 0
    )
    if bits:
        for recorder in _poller_recorders(poller):
            unwatches(recorder, fd, bits)


def _unwatch_reader(arguments: Arguments) -> None:
    _unwatch(arguments["fd"], arguments["self"], _READ)


def _unwatch_writer(arguments: Arguments) -> None:
    _unwatch(arguments["fd"], arguments["self"], _WRITE)


def _forget(arguments: Arguments) -> None:
    _unwatch(arguments["fd"], arguments["self"], _READ | _WRITE)


def _call_in_thread(arguments: Arguments) -> None:
    # Not yet initialised: the loop is an argument.
    for recorder in _recorders(arguments["loop"]):
        call_begins(recorder, arguments["self"])


def _take(arguments: Arguments) -> None:
    for recorder in _recorders_of(arguments["self"]):
        call_ends(recorder, arguments["self"])


_PROBES = [
    Probe(Future, "set_result", _set_result),
    Probe(Future, "set_exception", _set_exception),
    Probe(Future, "cancel", _cancel_future),
    Probe(Task, "cancel", _cancel_task),
    Probe(Task, "set_name", _set_name),
    Probe(Task, "_run_eagerly", _run_eagerly, _ran_eagerly),
    Probe(TimerHandle, "cancel", _cancel_timer),
    Probe(Handle, "_report", _report),
    Probe(ExceptionReporter, "report", _report_unseen),
    Probe(Poller, "watch_reader", _watch_reader),
    Probe(Poller, "watch_writer", _watch_writer),
    Probe(Poller, "wait_readable", _wait_readable),
    Probe(Poller, "wait_writable", _wait_writable),
    Probe(Poller, "unwatch_reader", _unwatch_reader),
    Probe(Poller, "unwatch_writer", _unwatch_writer),
    Probe(Poller, "forget", _forget),
    Probe(CallInThread, "__init__", _call_in_thread),
    Probe(CallInThread, "_take", _take),
]

_lock = threading.Lock()
_recording = 0


def probe_for_recorder() -> None:
    """One more recorder is put in."""
    global _recording
    with _lock:
        if not _recording:
            place_probes(_PROBES)
        _recording += 1


def stop_probing_for_recorder() -> None:
    """One is taken out."""
    global _recording
    with _lock:
        _recording -= 1
        if not _recording:
            remove_probes(_PROBES)
