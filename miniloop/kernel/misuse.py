"""What a coroutine may yield to its task, and the error if it yields something else.

`await` yields a future to the task, with `_asyncio_future_blocking` set. Anything else is a mistake
in a generator-based coroutine or in an `__await__` method, and RuntimeError is raised there.

Invariant: every mistake becomes a RuntimeError in the coroutine that made it; the task goes on.

The trap: an object without `_asyncio_future_blocking` is no future at all, and one that has it set
to False was yielded without `await`. The two get different messages.

Source: the CPython documentation, "Extending".
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from miniloop.kernel.contract import ReportedTask

__all__ = ["why_not"]


def why_not(task: ReportedTask, awaited: Any) -> str | None:
    """Why `task` cannot wait for `awaited`, which its coroutine has yielded; None if it can."""
    blocking = getattr(awaited, "_asyncio_future_blocking", None)
    if blocking is None:
        if isinstance(awaited, Generator):
            return (
                f"yield was used instead of yield from for generator in task {task!r} "
                f"with {awaited!r}"
            )
        return f"Task got bad yield: {awaited!r}"
    if asyncio.futures._get_loop(awaited) is not task._loop:  # type: ignore[attr-defined]  # private
        return f"Task {task!r} got Future {awaited!r} attached to a different loop"
    if not blocking:
        return f"yield was used instead of yield from in task {task!r} with {awaited!r}"
    if awaited is task:
        return f"Task cannot await on itself: {task!r}"
    return None
