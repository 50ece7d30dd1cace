"""What is said of a future or a task that has gone, and should not have.

An exception that nobody looks at must not vanish, and neither must a task that never came to its
end. The obvious way to notice is a `__del__`, which costs every future 50 ns, and only few have
something to say. So those few carry an object with a `__del__`: when it goes, either the future has
let go of it, or the future has gone. The dead cannot be shown, so their twin is.
(docs/decisions/unseen-exceptions.md)
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miniloop.kernel.future import Future

__all__ = ["UnfinishedTask", "UnseenException"]


class _LastWords:
    """Reports a future to its loop's exception handler, unless the future outlives it."""

    __slots__ = ("_future", "_kind", "_twin")

    def __init__(self, future: Future[Any]) -> None:
        # With a callback, though it does nothing: the collector of CPython 3.14 clears only such
        # references before it calls the `__del__` of what it has found.
        self._future = weakref.ref(future, id)
        self._twin = future._twin()
        self._kind = type(future).__name__

    def _context(self) -> dict[str, Any]:
        """What the exception handler is told."""
        raise NotImplementedError

    def say(self) -> None:
        """Tell the exception handler."""
        context = self._context()
        if self._twin._source_traceback:
            context["source_traceback"] = self._twin._source_traceback
        self._twin._loop.call_exception_handler(context)

    def __del__(self) -> None:
        if self._future() is None:
            self.say()


class UnseenException(_LastWords):
    """What a failed future carries until somebody looks at its exception."""

    __slots__ = ()

    def _context(self) -> dict[str, Any]:
        return {
            "message": f"{self._kind} exception was never retrieved",
            "exception": self._twin._exception,
            "future": self._twin,
        }


class UnfinishedTask(_LastWords):
    """What a task carries whose loop was closed before it was done."""

    __slots__ = ()

    def _context(self) -> dict[str, Any]:
        return {"message": "Task was destroyed but it is pending!", "task": self._twin}
