"""`python -m miniloop --replay FILE script.py`: a whole program under a recorded schedule.

The file may have been written of a test in that script, which then calls `explore`: that call runs
the one schedule. Or it was written of the coroutine that is the program, `explore(main)`, and the
script runs `asyncio.run(main())`: then its first loop is one under test, and follows the schedule.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import sys
from typing import Any

import miniloop
from miniloop.loop import EventLoop
from miniloop.testing import replaying
from miniloop.testing.loop import LoopUnderTest, new_loop_under_test
from miniloop.testing.order import repeatable_sets
from miniloop.testing.queue import ScheduledQueue
from miniloop.testing.replay_file import ReplayFile
from miniloop.testing.trace import Tracing
from miniloop.testing.wall import follow

__all__ = ["replay_in_this_process"]


def replay_in_this_process(path: str | os.PathLike[str]) -> None:
    """From now on, run the schedule of the file. Raises OSError or ValueError.

    Call it after whatever else decides which loops there are.
    """
    file = ReplayFile.load(path)
    replaying.want(file)
    replaying.tell_of_replays(_say)
    atexit.register(_say_if_nothing_was_run, file)
    first = _FirstLoop(file)
    # These have no end: the program runs until the process ends.
    repeatable_sets().__enter__()
    follow(first.clock, file.settings.get("patch_time", False)).__enter__()
    asyncio.new_event_loop = asyncio.events.new_event_loop = first.make
    policy = vars(sys.modules["asyncio.unix_events"]).get("_UnixDefaultEventLoopPolicy")
    if policy is not None:
        policy._loop_factory = staticmethod(first.make)
    miniloop.new_event_loop = first.make


class _FirstLoop:
    """Makes the loops of the program: the first one follows the schedule."""

    def __init__(self, file: ReplayFile) -> None:
        self._file = file
        self._loop: LoopUnderTest | None = None

    def clock(self) -> Any:
        """The virtual clock, while there is one."""
        if self._loop is None or self._loop.is_closed():
            return None
        return self._loop.virtual_clock

    def make(self) -> EventLoop:
        """A loop."""
        if self._loop is not None:
            return EventLoop()
        file = self._file
        settings = file.settings
        tracing = Tracing(file.schedule)
        queue = ScheduledQueue(tracing, int(settings.get("most_steps", 50_000)))
        loop = new_loop_under_test(
            ready=queue, until=settings.get("until"), real_io=settings.get("real_io", False)
        )
        queue.loop = self._loop = loop
        random.seed(file.seed)
        loop.on_run_ended = lambda: self._ended(queue, tracing)
        return loop

    def _ended(self, queue: ScheduledQueue, tracing: Tracing) -> None:
        """The program's first run of the loop is over: what comes is its cleaning up."""
        if queue.free and queue.steps <= queue.most_steps:
            return
        queue.free = True
        replaying.note(self._file, tracing.trace)


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"miniloop: {text}\n")


def _say_if_nothing_was_run(file: ReplayFile) -> None:
    if not replaying.was_run():
        _say(f"the schedule was not run: it is one of {file.test}, which this program has not run")
