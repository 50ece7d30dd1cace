"""Clean-up is begun in a task that nobody waits for, and cancelled with all the other tasks."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause, settled

REPORT = "NodeJSmith/hassette#311"
KIND = "task that nobody awaits"


class Bus:
    def __init__(self) -> None:
        self.listeners = ["one", "two"]
        self.tasks: set[asyncio.Task[None]] = set()

    def remove_all(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self.remove(), name="remove")
        self.tasks.add(task)
        return task

    async def remove(self) -> None:
        await pause()
        self.listeners.clear()

    async def shut_down(self) -> None:
        self.remove_all()
        await pause(3)  # other services
        await self.cancel_tasks()

    async def cancel_tasks(self) -> None:
        for task in self.tasks:
            task.cancel()
        await settled(*self.tasks)


class FixedBus(Bus):
    async def shut_down(self) -> None:
        await self.remove_all()
        await pause(3)
        await self.cancel_tasks()


async def scenario(bus: Bus) -> None:
    await bus.shut_down()
    assert not bus.listeners


async def buggy() -> None:
    await scenario(Bus())


async def fixed() -> None:
    await scenario(FixedBus())
