"""A future: what is not there yet, and who is to be woken when it is.

python3 docs/tour/03_futures.py
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

ready: deque[Callable[[], object]] = deque()


class Future:
    done = False
    result: Any = None

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def set_result(self, result: Any) -> None:
        self.done, self.result = True, result
        ready.extend(self.waiting)  # waking is queueing: nobody runs inside of set_result

    def __await__(self) -> Generator[Future, None, Any]:
        if not self.done:
            yield self  # up to the task, which adds itself to `waiting`
        return self.result


class Task(Future):  # a task is a future too: others may wait for its end
    def __init__(self, coroutine: Coroutine[Future, None, Any]) -> None:
        super().__init__()
        self.coroutine = coroutine
        ready.append(self.step)

    def step(self) -> None:
        try:
            future = self.coroutine.send(None)
        except StopIteration as stop:
            self.set_result(stop.value)
        else:
            future.waiting.append(self.step)  # it is in one place at a time: not in `ready`


async def cook(order: Any) -> str:
    print("the cook waits for an order")
    return f"one {await order}"


async def take(order: Any) -> None:
    order.set_result("soup")
    print("the order is there, and the cook has not moved yet")


async def evening(new_future: Callable[[], Any], new_task: Callable[..., Any]) -> None:
    order = new_future()
    dish = new_task(cook(order))  # queued; it has not begun
    await new_task(take(order))
    print("the cook has made", await dish)


Task(evening(Future, Task))
while ready:
    ready.popleft()()


async def main() -> None:  # the same on a real loop
    await evening(asyncio.get_running_loop().create_future, asyncio.create_task)


asyncio.run(main())
