"""Steps that work on queues."""

from __future__ import annotations

from typing import Any

from tests.differential.language import Act, Await, node
from tests.differential.world import World, pick

__all__ = ["Get", "GetNow", "Join", "Put", "PutNow", "ShutDownQueue", "TaskDone"]


@node
class Put(Await):
    """`await queue.put(...)`"""

    queue: int

    async def run(self, world: World, who: str) -> Any:
        return await pick(world.queues, self.queue).put(f"by {who}")


@node
class Get(Await):
    """`await queue.get()`"""

    queue: int

    async def run(self, world: World, who: str) -> Any:
        return await pick(world.queues, self.queue).get()


@node
class Join(Await):
    """`await queue.join()`"""

    queue: int

    async def run(self, world: World, who: str) -> Any:
        return await pick(world.queues, self.queue).join()


@node
class PutNow(Act):
    """`Queue.put_nowait`"""

    queue: int

    def do(self, world: World, who: str) -> Any:
        return pick(world.queues, self.queue).put_nowait(f"by {who}")


@node
class GetNow(Act):
    """`Queue.get_nowait`"""

    queue: int

    def do(self, world: World, who: str) -> Any:
        return pick(world.queues, self.queue).get_nowait()


@node
class TaskDone(Act):
    """`Queue.task_done`"""

    queue: int

    def do(self, world: World, who: str) -> Any:
        return pick(world.queues, self.queue).task_done()


@node
class ShutDownQueue(Act):
    """`Queue.shutdown` (3.13)"""

    queue: int
    immediate: bool

    def do(self, world: World, who: str) -> Any:
        return pick(world.queues, self.queue).shutdown(immediate=self.immediate)
