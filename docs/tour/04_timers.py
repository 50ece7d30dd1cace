"""Timers: a heap of deadlines, and a sleep in the kernel that counts in whole milliseconds.

python3 docs/tour/04_timers.py                    asyncio's loop, for the second half
python3 -m miniloop docs/tour/04_timers.py        this one
"""

from __future__ import annotations

import asyncio
import heapq
import math
import select
import time
from collections.abc import Callable
from itertools import count

DELAYS = (0.0301, 0.0005, 0.0102)  # seconds

timers: list[tuple[float, int, Callable[[float], object]]] = []
numbers = count()  # so that two timers of one deadline keep their order
epoll = select.epoll()


def call_later(seconds: float, callback: Callable[[float], object]) -> None:
    heapq.heappush(timers, (time.monotonic() + seconds, next(numbers), callback))


def run() -> None:
    while timers:
        timeout = max(0.0, timers[0][0] - time.monotonic())  # until the earliest deadline
        print(f"  sleep for {timeout * 1e3:.2f} ms: the kernel gets {math.ceil(timeout * 1e3)} ms")
        epoll.poll(timeout)  # nothing is registered, so it only sleeps
        now = time.monotonic()
        while timers and timers[0][0] <= now:
            deadline, _, callback = heapq.heappop(timers)
            callback(now - deadline)


def tell(late: float) -> None:
    print(f"    {late * 1e3:.2f} ms late")


print("our loop:")
for delay in DELAYS:  # the heap puts them in order
    call_later(delay, tell)
run()
epoll.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    for delay in DELAYS:
        deadline = loop.time() + delay
        await asyncio.sleep(delay)
        tell(loop.time() - deadline)

    print("three timers of one deadline:")
    when = loop.time() + 0.01
    for name in "first", "second", "third":
        loop.call_at(when, print, "   ", name)
    cancelled = loop.call_at(when, print, "never printed")
    cancelled.cancel()  # stays in the heap, empty, until its time comes or many are swept out
    await asyncio.sleep(0.02)


print("a real loop:")
asyncio.run(main())
