"""Looking into a task from outside: where its coroutine stands.

Invariant: looking changes nothing, and runs no code of the task.

The trap: a coroutine may be one of Cython's or a mock, without `cr_frame`. That is no error: it has
no frames to show.
"""

from __future__ import annotations

import linecache
import sys
import traceback
from types import CoroutineType, FrameType, GeneratorType, TracebackType
from typing import Any, TextIO

from miniloop.kernel.contract import ReportedTask

__all__ = ["get_stack", "is_suspended", "print_stack"]


def is_suspended(coro: Any) -> bool:
    """True for a coroutine or generator that has not come to its end and is not running either.

    Of objects that only behave like one it is not known, and the answer is False.
    """
    if isinstance(coro, CoroutineType):
        return coro.cr_frame is not None and not coro.cr_running
    if isinstance(coro, GeneratorType):
        return coro.gi_frame is not None and not coro.gi_running
    return False


def _suspended_frame(coro: Any) -> FrameType | None:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        if hasattr(coro, name):
            frame: FrameType | None = getattr(coro, name)
            return frame
    return None


def _failure(task: ReportedTask) -> BaseException | None:
    """The exception of a failed task. That which ended a cancelled one is no failure."""
    return None if task.cancelled() else task._exception


def _traceback_frames(trace: TracebackType | None) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_tb(trace)]


def get_stack(task: ReportedTask, limit: int | None = None) -> list[FrameType]:
    """The frames of a task's coroutine, outermost first.

    Of a suspended coroutine there is one frame, of a failed one those of its traceback, of a
    finished or cancelled one none. `limit` keeps the newest frames of a stack and the oldest of a
    traceback, as the `traceback` module does.
    """
    frame = _suspended_frame(task._coro)
    if frame is not None:
        stack: list[FrameType] = []
        outer: FrameType | None = frame
        while outer is not None and (limit is None or len(stack) < limit):
            stack.append(outer)
            outer = outer.f_back
        stack.reverse()
        return stack
    failure = _failure(task)
    return [] if failure is None else _traceback_frames(failure.__traceback__)[:limit]


def print_stack(task: ReportedTask, limit: int | None = None, file: TextIO | None = None) -> None:
    """Print `get_stack` in the form of a traceback, to `file` (default: standard error)."""
    if file is None:
        file = sys.stderr
    frames = get_stack(task, limit)
    failure = _failure(task)
    if not frames:
        print(f"No stack for {task!r}", file=file)
    elif failure is not None:
        print(f"Traceback for {task!r} (most recent call last):", file=file)
    else:
        print(f"Stack for {task!r} (most recent call last):", file=file)
    summary = []
    for frame in frames:
        linecache.checkcache(frame.f_code.co_filename)
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)
        summary.append(
            traceback.FrameSummary(
                frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, line=line
            )
        )
    traceback.print_list(traceback.StackSummary.from_list(summary), file=file)
    if failure is not None:
        for text in traceback.format_exception_only(type(failure), failure):
            print(text, file=file, end="")
