"""What the programs of the corpus have in common: I/O that takes a while, and connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["MOMENT", "Connection", "latency", "others", "pause", "settled"]

MOMENT = 0.01  # seconds; the unit of what takes time in these programs


def _none() -> float:
    return 0.0


class _Latency:
    """How long a pause is, in seconds; the stress test makes it random."""

    seconds: Callable[[], float] = staticmethod(_none)


latency = _Latency()


async def pause(times: int = 1) -> None:
    """A round trip to somewhere, or several. Other tasks may run meanwhile."""
    for _ in range(times):
        await asyncio.sleep(latency.seconds())


async def settled(*tasks: asyncio.Task[Any]) -> None:
    """Wait for tasks that may have been cancelled."""
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


async def others() -> None:
    """Wait until all other tasks have ended."""
    me = asyncio.current_task()
    await settled(*(task for task in asyncio.all_tasks() if task is not me))


class Connection:
    """Something that must be closed, once."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
