"""Reports of what was collected too early: an exception that nobody has seen, an unfinished task.

The obvious way to notice is a `__del__`, which costs every future 50 ns, although few have
something to report. So those few carry an object with a `__del__`. It holds a copy of the future's
state (a twin), as a future that has been collected has no repr.

Invariants:

1. Only its future refers to such an object, so both are collected together.
2. `disarm` removes the twin, and without a twin nothing is reported. Nothing else decides. A weak
   reference to the future could not: the garbage collector clears all weak references to what it
   has found before it calls the first `__del__`.

The trap: the collector calls the `__del__` methods of what it has found in no defined order, and a
later one may look at the exception, as that of `asyncio.StreamReaderProtocol` does. So what the
collector has found is reported after the collection.

(docs/decisions/unseen-exceptions.md)
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from miniloop.kernel.contract import ReportedFuture, ReportedTask

__all__ = ["OutlivingTasks", "UnfinishedTask", "UnseenException"]


class _LastWords:
    """Reports a future to its loop's exception handler when it goes, unless it is disarmed."""

    __slots__ = ("_kind", "_twin")

    def __init__(self, future: ReportedFuture) -> None:
        self._kind = type(future).__name__
        self._twin: ReportedFuture | None = future._twin()

    def disarm(self) -> None:
        """Report nothing any more."""
        self._twin = None

    def _context(self, twin: ReportedFuture) -> dict[str, Any]:
        """What the exception handler is told."""
        raise NotImplementedError

    def say(self) -> None:
        """Tell the exception handler, once."""
        twin = getattr(self, "_twin", None)  # Ctrl-C may have come before there was one
        if twin is None:
            return
        self._twin = None
        context = self._context(twin)
        if twin._source_traceback:
            context["source_traceback"] = twin._source_traceback
        twin._loop.call_exception_handler(context)

    def __del__(self) -> None:
        if gc.is_finalized(self) and not sys.is_finalizing():  # at exit it does not call `_hear`
            _hear_after_collection(self)
        else:
            self.say()


_to_be_heard: deque[_LastWords] = deque()


def _hear_after_collection(words: _LastWords) -> None:
    _to_be_heard.append(words)
    if _hear not in gc.callbacks:
        gc.callbacks.append(_hear)


def _hear(phase: str, info: object) -> None:
    """The collector calls this at its start and at its end. The end is what we wait for."""
    if phase == "stop":
        while _to_be_heard:
            _to_be_heard.popleft().say()
        if gc.callbacks[-1] is _hear:  # else the collector would skip the next in the list
            gc.callbacks.pop()


class UnseenException(_LastWords):
    """What a failed future carries until somebody looks at its exception."""

    __slots__ = ()

    def _context(self, twin: ReportedFuture) -> dict[str, Any]:
        return {
            "message": f"{self._kind} exception was never retrieved",
            "exception": twin._exception,
            "future": twin,
        }


class UnfinishedTask(_LastWords):
    """What a task carries whose loop was closed before it was done."""

    __slots__ = ()

    def _context(self, twin: ReportedFuture) -> dict[str, Any]:
        return {"message": "Task was destroyed but it is pending!", "task": twin}


class OutlivingTasks(WeakSet[Any]):
    """The `tasks` of a closed loop: those that were not done, which nothing holds any more."""

    def __init__(self, tasks: Iterable[ReportedTask]) -> None:
        super().__init__(tasks)
        for task in self:
            task.outlive_loop()

    def discard(self, task: ReportedTask) -> None:
        """A future of another make may still run a step of the task, which may end it."""
        task.have_no_last_words()
        super().discard(task)
