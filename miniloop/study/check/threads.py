"""Exercise 6: await a function that runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any, TypeVar

from miniloop.loop import EventLoop
from miniloop.study.check.exercise import Exercise, Wrong, equal, function, not_to_be_used

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 6: await a function that runs in a thread.

Write `in_thread`. `await in_thread(function, *arguments)` calls the function in a new thread, while
the loop goes on, and returns what it returned or raises what it raised. What you need is
`threading.Thread`, a future, and the one method of a loop that another thread may call. The
ready-made ones (asyncio.to_thread, run_in_executor) are shut away.

    python3 -m miniloop.study check 6
"""

import asyncio
import threading


async def in_thread(function, *arguments):
    ...
'''

PATIENCE = 5.0  # seconds

T = TypeVar("T")


def _run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it on a loop in debug mode, which checks threads; note exceptions that end threads."""
    died: list[str] = []
    reported: list[str] = []
    loop = EventLoop()
    loop.set_debug(True)
    loop.slow_callback_duration = PATIENCE
    loop.set_exception_handler(lambda _, context: reported.append(_report(context)))
    hook = threading.excepthook

    def note(arguments: threading.ExceptHookArgs) -> None:
        died.append(f"{arguments.exc_type.__name__}: {arguments.exc_value}")
        loop.call_soon_threadsafe(loop.stop)  # what it was to do, nobody will do now

    threading.excepthook = note
    try:
        with (
            not_to_be_used(asyncio, "to_thread"),
            not_to_be_used(EventLoop, "run_in_executor"),
        ):
            result = loop.run_until_complete(asyncio.wait_for(main(), PATIENCE))
    except RuntimeError:
        if died:
            raise Wrong(f"the thread died of {died[0]}") from None
        raise
    except TimeoutError:
        raise Wrong(
            f"the function has long ended, and nobody has woken the loop within {PATIENCE:.0f} s"
        ) from None
    finally:
        threading.excepthook = hook
        for task in asyncio.all_tasks(loop):  # of one that has died
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # private in typeshed
        loop.close()
    if died:
        raise Wrong(f"the thread died of {died[0]}")
    if reported:
        raise Wrong(reported[0])
    return result


def _report(context: dict[str, Any]) -> str:
    return f"the loop was told: {context.get('message')} ({context.get('exception')!r})"


def _returns(solution: ModuleType) -> None:
    """It returns what the function returns, which has run in another thread."""

    async def main() -> Any:
        return await function(solution, "in_thread")(
            lambda *numbers: (sum(numbers), threading.get_ident()), 1, 2, 3
        )

    result = _run(main)
    if not isinstance(result, tuple):
        raise Wrong(f"the function returned a tuple, and in_thread {result!r}")
    equal("the result", result[0], 6)
    if result[1] == threading.get_ident():
        raise Wrong("the function has run in the thread of the loop")


def _raises(solution: ModuleType) -> None:
    """It raises what the function raises."""

    def fails() -> None:
        raise LookupError("in the thread")

    async def main() -> Any:
        try:
            return await function(solution, "in_thread")(fails)
        except LookupError:
            return "raised"

    equal("of a function that raises LookupError", _run(main), "raised")


def _goes_on(solution: ModuleType) -> None:
    """The loop goes on meanwhile."""
    event = threading.Event()

    async def main() -> Any:
        asyncio.get_running_loop().call_later(0.02, event.set)  # the loop must run for that
        return await function(solution, "in_thread")(event.wait, PATIENCE / 2)

    if not _run(main):
        raise Wrong(
            "the loop did nothing while the function ran: is there a `join`, or another call that "
            "blocks, in a coroutine?"
        )


def _cancelled(solution: ModuleType) -> None:
    """Cancelled, it ends at once, and the result that comes later disturbs nobody."""
    event, ended = threading.Event(), threading.Event()

    def slow() -> None:
        event.wait(PATIENCE)
        ended.set()

    async def main() -> None:
        task = asyncio.ensure_future(function(solution, "in_thread")(slow))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE / 5)
        if not task.cancelled():
            raise Wrong("it was cancelled, and waits for the thread nevertheless")
        event.set()
        while not ended.is_set() or threading.active_count() > 1:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)

    _run(main)


EXERCISE = Exercise(BEGIN, (_returns, _raises, _goes_on, _cancelled))
