"""Exercise 9: give a child process a limited time."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from miniloop.loop import EventLoop
from miniloop.study.check.exercise import Exercise, Wrong, equal, function

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 9: give a child process a limited time.

Write `run`. `await run(command, seconds)` starts the program (`command` is a list of words, the
program first) and returns its exit code; minus the number of the signal, if one ended it. After so
many seconds it is asked to end (SIGTERM); if it has not ended after as many again, it is killed
(SIGKILL). If `run` is cancelled, the child is killed at once, and waited for: no child is left.

    python3 -m miniloop.study check 9
"""

import asyncio


async def run(command, seconds):
    ...
'''

SECONDS = 0.5  # long enough for a shell to have begun
LONG = 20  # seconds: longer than anybody waits

_SLEEP = ["sleep", str(LONG)]
_DEAF = ["sh", "-c", f"trap '' TERM; exec sleep {LONG}"]  # what is ignored stays so by exec


def _run(main: Callable[[], Any]) -> Any:
    loop = EventLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(main(), LONG / 2))
    except TimeoutError:
        raise Wrong(f"it has not returned within {LONG // 2} s") from None
    finally:
        loop.close()


def _no_child(when: str) -> None:
    try:
        found, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    raise Wrong(f"{when}: a child is left, {'still at work' if found == 0 else 'not waited for'}")


def _code(solution: ModuleType, command: list[str], seconds: float) -> Any:
    async def main() -> Any:
        return await function(solution, "run")(command, seconds)

    return _run(main)


def _ends(solution: ModuleType) -> None:
    """It returns the exit code of a program that ends by itself."""
    for code in 0, 3:
        command = [sys.executable, "-S", "-c", f"raise SystemExit({code})"]
        equal("the exit code", _code(solution, command, LONG), code)


def _not_in_time(solution: ModuleType) -> None:
    """A program that takes too long is asked to end, by SIGTERM."""
    began = time.monotonic()
    equal("the exit code of sleep, asked to end", _code(solution, _SLEEP, SECONDS), -15)
    if time.monotonic() - began < SECONDS:
        raise Wrong(f"it was given {SECONDS} s, and ended before")
    _no_child("after a program that was asked to end")


def _deaf(solution: ModuleType) -> None:
    """A program that does not listen to that is killed, after as long again."""
    began = time.monotonic()
    equal("the exit code of one that ignores SIGTERM", _code(solution, _DEAF, SECONDS), -9)
    if time.monotonic() - began < 2 * SECONDS:
        raise Wrong(f"it was killed before {2 * SECONDS} s had passed")
    _no_child("after a program that was killed")


def _cancelled(solution: ModuleType) -> None:
    """Cancelled, it leaves no child behind."""

    async def main() -> bool:
        task = asyncio.ensure_future(function(solution, "run")(_DEAF, LONG))
        await asyncio.sleep(SECONDS)
        task.cancel()
        await asyncio.wait([task], timeout=LONG / 4)
        if not task.done():
            raise Wrong("it was cancelled, and goes on")
        _no_child("after it was cancelled")
        cancelled: bool = task.cancelled()
        return cancelled

    equal("it ends as cancelled", _run(main), True)


EXERCISE = Exercise(BEGIN, (_ends, _not_in_time, _deaf, _cancelled))
