"""`notify` wakes a waiter that is being cancelled, and the notification is lost.

There is work for one, and one that could do it waits, but it was not the one that was told.
"""

from __future__ import annotations

import asyncio
from collections import deque

from tests.testing.corpus.world import pause, settled

REPORT = "python/cpython#112202"
KIND = "wake-up lost by cancelling"


class Signal:
    """A condition without the lock: `notify` wakes one of those who wait."""

    def __init__(self) -> None:
        self.waiters: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self.cancelled(waiter)
            raise
        finally:
            self.waiters.remove(waiter)

    def cancelled(self, waiter: asyncio.Future[None]) -> None:
        pass

    def notify(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
                return


class FixedSignal(Signal):
    def cancelled(self, waiter: asyncio.Future[None]) -> None:
        if waiter.done() and not waiter.cancelled():
            self.notify()  # somebody else


async def scenario(signal: Signal) -> None:
    work: list[str] = []

    async def consume() -> None:
        while not work:
            await signal.wait()
        work.pop()

    first = asyncio.create_task(consume(), name="first")
    second = asyncio.create_task(consume(), name="second")

    async def produce() -> None:
        await pause(3)
        work.append("item")
        signal.notify()

    producer = asyncio.create_task(produce(), name="producer")
    await pause(2)
    first.cancel()
    await settled(producer, first)
    if not first.cancelled():
        work.append("another item")
        signal.notify()
    await second


async def buggy() -> None:
    await scenario(Signal())


async def fixed() -> None:
    await scenario(FixedSignal())
