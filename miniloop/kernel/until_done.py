"""Running a loop until one future is done.

The future's last callback stops the loop. Its result, or its failure, is the result of the run.

Invariant: a run that an exception ends leaves nothing that would end the next one. The callback may
be in the ready queue by then, where the next run would find it. So it forgets its loop, and then
does nothing.

The trap: whoever started the run gets the failure, so it has to be looked at in all cases, or it
would be reported a second time as one that nobody has retrieved.

Source: the CPython documentation, `loop.run_until_complete`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

from miniloop.kernel.contract import Loop

__all__ = ["run_until_complete"]

T = TypeVar("T")


def run_until_complete(loop: Loop, future: Generator[Any, None, T] | Awaitable[T]) -> T:
    """Run until the future (or the coroutine, in a task) is done, and give its result.

    Raises RuntimeError if the loop is stopped before.
    """
    loop._check_closed()
    loop._check_can_run()
    is_ours = not asyncio.isfuture(future)
    task: Any = asyncio.ensure_future(future, loop=loop)  # type: ignore[call-overload]  # by duck
    if is_ours:
        # The caller gets the exception; there is no need to log it as well.
        task._log_destroy_pending = False
    end = _EndOfRun(loop)
    task.add_done_callback(end)
    try:
        loop.run_forever()
    except BaseException:
        end.loop = None
        if is_ours and task.done() and not task.cancelled():
            task.exception()  # the same one that we are raising
        raise
    finally:
        task.remove_done_callback(end)
    if not task.done():
        raise RuntimeError("Event loop stopped before Future completed.")
    try:
        result: T = task.result()
        return result
    finally:
        # The traceback of a failure holds this frame, which must not hold the failure.
        future = task = None  # type: ignore[assignment]  # never read again


class _EndOfRun:
    """The callback that stops the loop when the future is done for which it runs."""

    __slots__ = ("loop",)

    passes_on = True  # as the decorator `passes_on` would mark a function

    def __init__(self, loop: Loop) -> None:
        self.loop: Loop | None = loop

    def __call__(self, future: Any) -> None:
        failure = None if future.cancelled() else future.exception()
        if isinstance(failure, SystemExit | KeyboardInterrupt):
            return  # it has stopped the loop by that
        if self.loop is not None:
            self.loop.stop()
