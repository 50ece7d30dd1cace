"""Steps that work on events, locks, semaphores, conditions and a barrier."""

from __future__ import annotations

from typing import Any

from tests.differential.language import Act, Await, Block, node
from tests.differential.world import World, pick

__all__ = [
    "Admitted",
    "Locked",
    "Notify",
    "Release",
    "SetEvent",
    "WaitBarrier",
    "WaitCondition",
    "WaitEvent",
]


@node
class SetEvent(Act):
    """`Event.set` or, if not `on`, `Event.clear`."""

    event: int
    on: bool

    def do(self, world: World, who: str) -> Any:
        event = pick(world.events, self.event)
        return event.set() if self.on else event.clear()


@node
class WaitEvent(Await):
    """`await event.wait()`"""

    event: int

    async def run(self, world: World, who: str) -> Any:
        return await pick(world.events, self.event).wait()


@node
class Locked(Await):
    """`async with lock`"""

    lock: int
    body: Block

    async def run(self, world: World, who: str) -> Any:
        async with pick(world.locks, self.lock):
            world.note(who, "has the lock")
            await world.run(who, self.body)


@node
class Admitted(Await):
    """`async with semaphore`"""

    semaphore: int
    body: Block

    async def run(self, world: World, who: str) -> Any:
        async with pick(world.semaphores, self.semaphore):
            world.note(who, "is admitted")
            await world.run(who, self.body)


@node
class Release(Act):
    """`Semaphore.release`"""

    semaphore: int

    def do(self, world: World, who: str) -> Any:
        return pick(world.semaphores, self.semaphore).release()


@node
class WaitCondition(Await):
    """`async with condition: await condition.wait()`"""

    condition: int

    async def run(self, world: World, who: str) -> Any:
        condition = pick(world.conditions, self.condition)
        async with condition:
            return await condition.wait()


@node
class Notify(Await):
    """`async with condition: condition.notify(count)`"""

    condition: int
    count: int

    async def run(self, world: World, who: str) -> Any:
        condition = pick(world.conditions, self.condition)
        async with condition:
            condition.notify(self.count)


@node
class WaitBarrier(Await):
    """`await barrier.wait()`, of two parties."""

    async def run(self, world: World, who: str) -> Any:
        return await world.barrier.wait()
