"""A loop that can do one thing: give each of its tasks a step in turn.

python3 docs/tour/02_the_ready_queue.py
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

ready: deque[Task] = deque()
log: list[str] = []


class Task:
    """A coroutine that somebody runs, one step after the other."""

    def __init__(self, coroutine: Coroutine[Any, None, None]) -> None:
        self.coroutine = coroutine
        ready.append(self)  # made is not begun: the first step waits for its turn too

    def run(self) -> None:
        try:
            self.coroutine.send(None)
        except StopIteration:
            return  # the coroutine has returned: nobody queues it again
        ready.append(self)  # it yielded: to the end of the queue


def run_forever() -> None:
    turn = 0
    while ready:
        turn += 1
        count = len(ready)  # exactly what is ready now; what is added runs in the next turn
        print(f"turn {turn}: {count} ready")
        for _ in range(count):
            ready.popleft().run()


async def count_to(last: int, name: str) -> None:
    for number in range(1, last + 1):
        print(f"    {name} {number}")
        log.append(f"{name} {number}")
        await asyncio.sleep(0)  # a bare `yield`, in the standard library too


Task(count_to(3, "cat"))
Task(count_to(2, "dog"))
run_forever()
ours = log.copy()


async def main() -> None:
    log.clear()
    await asyncio.gather(count_to(3, "cat"), count_to(2, "dog"))


print("and on a real loop:")
asyncio.run(main())
print("the same order:", log == ours)
