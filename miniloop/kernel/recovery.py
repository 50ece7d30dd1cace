"""Recovery: put in order what an exception has interrupted in the loop's own code.

Python runs a signal's handler between any two calls, and the handler may raise: Ctrl-C raises
KeyboardInterrupt. In a callback or a coroutine the program handles that. But it may also happen
after an entry was taken and before it runs, after a step and before the task waits for what it
awaits, or after the kernel's events were fetched and before they are looked at. A program that uses
the loop afterwards must have lost nothing. So `run_turns` calls `recover` before it raises:

* an entry that was taken and has not begun goes back to the head of the queue;
* a timer that was queued and not yet taken from the heap is taken from it, and the reverse;
* the kernel is asked for all events again, also for those that it tells only once. A reader or a
  writer that is queued already is taken off the queue, as it will be queued again;
* a task that is neither queued, nor waits, nor is done, is put where it belongs. Its coroutine
  shows where that is: the task has to wait for what the coroutine is suspended on.

A callback that was interrupted is not run again, as only its author knows how far it had come. The
exceptions are the ends of `sleep` and of `timeout`, and callbacks of ours that are `repeatable`.

Invariant: when `recover` has returned, every task that is not done is queued or waits, and every
entry is in the queue at most once.

The trap: this may be interrupted as well. So each step may be taken twice, and the loop notes that
it is to be taken (`needs_recovery`) until all is done.
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.kernel.debug import DebugHandle
from miniloop.kernel.future import AWAIT_CODE, PENDING
from miniloop.kernel.handle import Handle, SharedHandle, is_repeatable
from miniloop.kernel.inspection import is_suspended
from miniloop.kernel.registry import current_tasks
from miniloop.kernel.task import Task

__all__ = ["recover", "snapshot"]

_END_OF_SLEEP = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]  # private

# The attribute of a coroutine or generator that holds what it is suspended on.
_AWAITED: dict[type, str] = {
    CoroutineType: "cr_await",
    GeneratorType: "gi_yieldfrom",
    AsyncGeneratorType: "ag_await",
}


def recover(loop: Loop, entry: Handle | Task[Any] | None, error: BaseException) -> None:
    """Put right what `error` has interrupted, which is on its way out of `run_turns`.

    `entry` is the one that was taken from the queue last, or None.
    """
    loop.needs_recovery = True
    loop.asleep = False
    try:
        del current_tasks[loop]
    except KeyError:
        pass  # no step was under way
    _put_back(loop, entry, error.__traceback__)
    loop.timers.repair(loop._ready)
    failures = loop.poller.rearm()
    _take_off(loop._ready, loop.poller.level_entries())
    _read_signals_again(loop)
    _place_tasks(loop, entry, error)
    loop.needs_recovery = False
    for failure in failures:
        message = "a descriptor could not be watched anew after an interrupt"
        loop.call_exception_handler({"message": message, "exception": failure})


def _put_back(loop: Loop, entry: Handle | Task[Any] | None, trace: TracebackType | None) -> None:
    """Queue a handle again that was taken and has not begun. Tasks are found otherwise."""
    if entry is None or isinstance(entry, Task) or id(entry) in set(map(id, loop._ready)):
        return
    if not _has_begun(trace) or _may_be_repeated(entry):
        loop._ready.appendleft(entry)


def _may_be_repeated(handle: Handle) -> bool:
    """Whether it is a callback of the loop's own, or of the standard library, that can be.

    Of those of the standard library, one that has not yet had its effect: a task sleeps, or counts
    on a timeout, and would wait for ever without them.
    """
    callback = handle._callback
    if is_repeatable(callback):
        return True
    if callback is _END_OF_SLEEP:
        return not handle._args[0].done()
    timeout = getattr(callback, "__self__", None)
    return isinstance(timeout, asyncio.Timeout) and not timeout.expired()


def _has_begun(trace: TracebackType | None) -> bool:
    """Whether the handle had reached its callback when the exception struck."""
    while trace is not None:
        frame = trace.tb_frame
        marker = _LAST_BEFORE_CALLBACK.get(frame.f_code)
        if marker is not None and marker not in frame.f_locals:
            return False
        trace = trace.tb_next
    return True


# The functions that run a handle, and the last variable that each sets before the callback.
_LAST_BEFORE_CALLBACK = {
    SharedHandle._run.__code__: "_begun",  # where it is not the same as the next
    Handle._run.__code__: "count",
    DebugHandle._run.__code__: "started",
}


def snapshot(ready: deque[Any]) -> list[Any]:
    """What is in the queue now, while other threads may append to it.

    A deque takes it all in one call of C. Between `iter` and `list` another thread may have its
    turn; and `list` asks for the length, which a queue that is put in place of ours may count.
    """
    return list(deque(ready))


def _take_off(ready: deque[Any], entries: list[Any]) -> None:
    """Remove these entries. Other threads may append at any time, so the queue is not copied."""
    numbers = set(map(id, entries))
    places = [place for place, entry in enumerate(snapshot(ready)) if id(entry) in numbers]
    for place in reversed(places):
        del ready[place]


def _read_signals_again(loop: Loop) -> None:
    """Signals may have been read and not been passed on; the kernel tells of them no more."""
    loop.wakeup.interrupted = True
    watch = loop.poller.watches.get(loop.wakeup.fileno())
    if loop.wakeup.noted and watch is not None and watch.reader is not None:
        loop._ready.appendleft(watch.reader)


def _place_tasks(loop: Loop, entry: Handle | Task[Any] | None, error: BaseException) -> None:
    # Copies of `loop.tasks`: a finalizer of the program's may add to it at any time.
    for task in [task for task in list(loop.tasks) if task._state is not PENDING]:
        # It was done, and had not yet woken everybody who waits for it.
        task._wake_after_interrupt()
        loop.tasks.discard(task)
    for task in _displaced(loop):
        if _has_ended(task._coro):
            # And the task had not yet taken full note of it.
            task._end_by(error if task._exception is None else task._exception)
    for task in _displaced(loop):
        _place(loop, task, at_head=task is entry)


def _displaced(loop: Loop) -> list[Task[Any]]:
    """The tasks that are neither queued, nor waited for by a future that will wake them."""
    queue = snapshot(loop._ready)
    placed = set(map(id, queue))
    # A task that waits on a future of another make is queued in a handle.
    placed |= {
        id(getattr(queued._callback, "__self__", None))
        for queued in queue
        if isinstance(queued, Handle)
    }
    return [
        task
        for task in list(loop.tasks)
        if id(task) not in placed and not _waits(task, task._fut_waiter)
    ]


def _has_ended(coro: Any) -> bool:
    running = getattr(coro, "cr_running", getattr(coro, "gi_running", False))
    return not running and not is_suspended(coro)


def _waits(task: Task[Any], awaited: Any) -> bool:
    """Whether the future `awaited` will wake the task."""
    if awaited is None or awaited.done():
        return False
    if not hasattr(awaited, "_callbacks"):
        return True  # a make that does not show who waits is believed
    return any(
        waiting is task or (isinstance(waiting, tuple) and waiting[0] == task._wakeup)
        for waiting in awaited._callbacks or ()
    )


def _place(loop: Loop, task: Task[Any], *, at_head: bool) -> None:
    """Queue a task that is nowhere, or have it wait."""
    if not is_suspended(task._coro):
        return  # it runs: a step of it runs the loop
    awaited = _stands_on(task._coro)
    if awaited is not None and _waits(task, awaited):
        task._fut_waiter = awaited
    elif awaited is not None:
        awaited._asyncio_future_blocking = True
        task._wait_for(awaited)
    elif at_head:
        loop._ready.appendleft(task)
    else:
        loop.enqueue(task)


def _stands_on(awaiting: Any) -> Any:
    """The future for which a suspended coroutine waits; None if it only let others go first."""
    while awaiting is not None:
        if isinstance(awaiting, GeneratorType) and awaiting.gi_code is AWAIT_CODE:
            frame = awaiting.gi_frame
            return None if frame is None else frame.f_locals["self"]
        name = _AWAITED.get(type(awaiting))
        if name is None:
            # The iterators of futures in C, and of asynchronous generators, do not say what is
            # behind them, but the garbage collector knows.
            for referent in gc.get_referents(awaiting):
                if hasattr(referent, "_asyncio_future_blocking"):
                    return referent
                if type(referent) in _AWAITED:
                    awaiting = referent
                    break
            else:
                return None
        else:
            awaiting = getattr(awaiting, name)
    return None
