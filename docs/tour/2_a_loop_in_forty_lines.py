"""A loop that runs tasks and timers: what miniloop does, without anything that a real one needs.

Run it: python docs/tour/2_a_loop_in_forty_lines.py
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Coroutine, Generator
from typing import Any

ready: deque[Task] = deque()
timers: list[tuple[float, int, Future]] = []


class Future:
    """A result that is not there yet, and the task that wants it."""

    done = False
    waiting: Task | None = None

    def finish(self) -> None:
        self.done = True
        if self.waiting is not None:
            ready.append(self.waiting)  # waking a task is queueing it

    def __await__(self) -> Generator[Future, None, None]:
        if not self.done:
            yield self


class Task:
    """A coroutine that somebody runs, one step after the other."""

    def __init__(self, coroutine: Coroutine[Any, None, None]) -> None:
        self.coroutine = coroutine
        ready.append(self)

    def run(self) -> None:
        try:
            future = self.coroutine.send(None)
        except StopIteration:
            return
        future.waiting = self


async def sleep(seconds: float) -> None:
    future = Future()
    heapq.heappush(timers, (time.monotonic() + seconds, id(future), future))
    await future


def run_forever() -> None:
    while ready or timers:
        if not ready:  # 1. wait (a real loop waits in epoll, and 2. delivers what has arrived)
            time.sleep(max(0.0, timers[0][0] - time.monotonic()))
        while timers and timers[0][0] <= time.monotonic():  # 3. timers that are due
            heapq.heappop(timers)[2].finish()
        for _ in range(len(ready)):  # 4. exactly what was ready
            ready.popleft().run()


async def count(name: str, pause: float) -> None:
    for number in range(3):
        print(name, number)
        await sleep(pause)


Task(count("tick", 0.02))
Task(count("tock", 0.03))
run_forever()
