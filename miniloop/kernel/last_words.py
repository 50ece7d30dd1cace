"""What is said of a future or a task that has gone, and should not have.

An exception that nobody looks at must not vanish, and neither must a task that never came to its
end. The obvious way to notice is a `__del__`, which costs every future 50 ns, and only few have
something to say. So those few carry an object with a `__del__`. It holds a twin of the future, a
copy of its state, as a future that has been collected cannot be shown any more.

Invariants:

1. Nobody but its future refers to such an object, so the two go together.
2. Whoever makes the report needless calls `disarm`, which takes the twin away: with no twin there
   is nothing to say. Only that decides. A weak reference to the future would not: the garbage
   collector clears those to all that it has found before it calls the first `__del__`.

The trap: the collector calls the `__del__` of all that it has found in no order to rely on, and one
that is still to come may look at the exception, as `asyncio.StreamReaderProtocol` does. So an
object that goes by the collector's hand is heard when the collector has called them all.

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
        """Have nothing to say any more."""
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
        if gc.is_finalized(self) and not sys.is_finalizing():  # at exit it may say no more
            _hear_after_collection(self)
        else:
            self.say()


_to_be_heard: deque[_LastWords] = deque()


def _hear_after_collection(words: _LastWords) -> None:
    _to_be_heard.append(words)
    if _hear not in gc.callbacks:
        gc.callbacks.append(_hear)


def _hear(phase: str, info: object) -> None:
    """What the collector calls at its start and, which is what we wait for, at its end."""
    if phase == "stop":
        while _to_be_heard:
            _to_be_heard.popleft().say()
        if gc.callbacks[-1] is _hear:  # from elsewhere in the list it would make another one miss
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
        """A future of a foreign make may step a task even now, and then it comes to its end."""
        task.have_no_last_words()
        super().discard(task)
