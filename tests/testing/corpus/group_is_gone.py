"""A group of tasks is found alive, and is gone by the time that the next task is put into it."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "spesmilo/electrum#7677"
KIND = "check, then act"


class Group:
    """The tasks of one server; gone when the connection is."""

    def __init__(self) -> None:
        self.alive = True
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self) -> None:
        if not self.alive:
            raise RuntimeError("task group terminated")
        self.tasks.append(asyncio.create_task(pause()))

    async def end(self) -> None:
        await pause(4)
        self.alive = False
        await asyncio.gather(*self.tasks)


async def switch(group: Group) -> None:
    if group.alive:
        await pause()  # say so to the old server
        group.spawn()


async def careful_switch(group: Group) -> None:
    await pause()
    if group.alive:
        group.spawn()


async def buggy() -> None:
    group = Group()
    await asyncio.gather(group.end(), switch(group))


async def fixed() -> None:
    group = Group()
    await asyncio.gather(group.end(), careful_switch(group))
