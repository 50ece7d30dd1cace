"""Tasks that hold and wait, and what a look at their waits says of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from miniloop.study import Waits, waits_of
from miniloop.study.waits import TaskState

Run = Callable[..., Any]


async def settled(*coroutines: Coroutine[Any, Any, Any], names: Sequence[str] = "abcdef") -> Waits:
    """Run each in a task until it waits, and report; then end them all."""
    tasks = [
        asyncio.create_task(coro, name=name) for coro, name in zip(coroutines, names, strict=False)
    ]
    try:
        for _ in range(10):
            await asyncio.sleep(0)
        return waits_of(asyncio.get_running_loop())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def state_of(waits: Waits, name: str) -> TaskState:
    return next(state for state in waits.tasks if state.name == name)


def text_of(waits: Waits, name: str) -> str:
    state = state_of(waits, name)
    assert state.wait is not None
    return state.wait.what


def held_by(waits: Waits, name: str) -> list[str]:
    wait = state_of(waits, name).wait
    assert wait is not None
    return [holder.task.get_name() for holder in wait.holders]


async def hold_by_hand(manager: Any) -> None:
    async with manager:
        await asyncio.Event().wait()


async def enter(manager: Any) -> None:
    async with manager:
        pass


async def late_answer() -> None:
    future = asyncio.get_running_loop().create_future()
    await future


class Lock:
    """A lock as a library may have it: another class, with a future for each that waits."""

    def __init__(self) -> None:
        self.waiters: list[asyncio.Future[None]] = []
        self.taken = False

    async def acquire(self) -> None:
        while self.taken:
            self.waiters.append(asyncio.get_running_loop().create_future())
            await self.waiters[-1]
        self.taken = True

    def release(self) -> None:
        self.taken = False
        for waiter in self.waiters:
            waiter.cancel()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *exc: object) -> None:
        self.release()
