"""A child of a TaskGroup is cancelled before its first step: its `finally` never runs.

The connection was opened before the child was made, and is the child's to close.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.testing.corpus.world import Connection, pause

REPORT = "python/cpython#116048"
KIND = "TaskGroup misused"

Opened = list[Connection]


async def use(connection: Connection) -> None:
    try:
        await pause()
    finally:
        connection.close()


async def open_and_use(opened: Opened) -> None:
    opened.append(Connection())
    await use(opened[-1])


def outside(opened: Opened) -> Coroutine[Any, Any, None]:
    opened.append(Connection())
    return use(opened[-1])


def inside(opened: Opened) -> Coroutine[Any, Any, None]:
    return open_and_use(opened)


async def fail() -> None:
    await pause(2)
    raise LookupError


async def scenario(job: Callable[[Opened], Coroutine[Any, Any, None]]) -> None:
    opened: Opened = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(), name="fails")
            for _ in range(2):
                group.create_task(job(opened))
                await pause()
    except* LookupError:
        pass
    assert all(connection.closed for connection in opened)


async def buggy() -> None:
    await scenario(outside)


async def fixed() -> None:
    await scenario(inside)
