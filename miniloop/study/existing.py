"""What a loop has when its recording begins: tasks, entries of the ready queue, timers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from miniloop.kernel.registry import current_tasks
from miniloop.loop import EventLoop
from miniloop.study.numbering import Numbers, is_task, nanoseconds
from miniloop.study.places import Places
from miniloop.study.records import QUEUED_BEFORE, THERE, TIMER_BEFORE

__all__ = ["note_what_is_there"]


def note_what_is_there(
    loop: EventLoop, numbers: Numbers, places: Places, put: Callable[[tuple[int, ...]], object]
) -> None:
    """Give each of them a number, and say what it is."""
    by_address = numbers.by_address
    current = current_tasks.get(loop) if loop.is_running() else None
    tasks: list[Any] = [task for task in list(loop.tasks) if is_task(task)]
    for task in tasks:
        by_address[id(task)] = numbers.new()
    for task in tasks:
        place = -1 if task is current else places.of_coroutine(task._coro)
        waiter = task._fut_waiter
        future = -1 if waiter is None else numbers.of_future(waiter)
        put((THERE, by_address[id(task)], numbers.what(task._coro), place, future))
    for entry in list(loop._ready):
        if not is_task(entry):
            number = numbers.of_new_handle(entry)
            put((QUEUED_BEFORE, number, numbers.what(entry._callback)))
    for when, _, timer in list(loop.timers.entries):
        if timer._callback is not None:
            number = by_address[id(timer)] = numbers.new()
            ahead = nanoseconds(when - loop.time()) // 1000
            put((TIMER_BEFORE, number, numbers.what(timer._callback), ahead))
