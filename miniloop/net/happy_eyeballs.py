"""Happy Eyeballs: several addresses, and the first that answers (RFC 8305).

A name often has addresses of two families, and one of the two may not work: packets are dropped
silently, and the attempt takes minutes to fail. So the families alternate, and the next
attempt begins while the one before is still waiting: after a delay, or at once when one has failed.

Invariant: whatever happens, every socket but the winner's is closed. An attempt closes its own when
it fails or is cancelled; one that succeeds too late is closed by `_discard`.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from itertools import chain, zip_longest
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.net.resolver import AddressInfo

__all__ = ["interleave", "race"]

Attempt = Callable[[], Coroutine[Any, Any, socket.socket]]


def interleave(infos: list[AddressInfo], first: int) -> list[AddressInfo]:
    """Alternate between the address families, after `first` addresses of the first one.

    Source: RFC 8305, section 4.
    """
    families: dict[int, list[AddressInfo]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    lists = list(families.values())
    head = lists[0][: first - 1]
    lists[0] = lists[0][first - 1 :]
    rounds = chain.from_iterable(zip_longest(*lists))
    return head + [info for info in rounds if info is not None]


async def race(loop: Loop, attempts: Iterable[Attempt], delay: float) -> socket.socket | None:
    """The socket of the first attempt to succeed; None if each has failed with an OSError.

    They are started in their order, `delay` seconds apart, or sooner when one has failed. Any other
    exception of an attempt ends the race and is raised.

    Source: RFC 8305, section 5.
    """
    to_start = deque(attempts)
    running: list[asyncio.Task[socket.socket]] = []
    try:
        while to_start or running:
            if to_start:
                running.append(loop.create_task(to_start.popleft()()))
            await asyncio.wait(
                running,
                timeout=delay if to_start else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in [task for task in running if task.done()]:
                running.remove(task)
                try:
                    return task.result()
                except OSError:
                    continue  # whoever made the attempts keeps their errors
                finally:
                    del task  # an exception holds this frame, which must not hold it
        return None
    finally:
        while running:
            task = running.pop()
            task.cancel()
            task.add_done_callback(_discard)
            del task


def _discard(task: asyncio.Task[socket.socket]) -> None:
    """Close the socket of an attempt that was too late. One that failed has closed its own."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
