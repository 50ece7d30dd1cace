"""Loops that trouble the kernel or the executor where it is not needed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple

from miniloop import EventLoop
from miniloop.kernel.handle import Handle

__all__ = ["resolving_literals", "waking_each_time"]

Ts = TypeVarTuple("Ts")


class WakingLoop(EventLoop):
    """Writes to the wake-up socket for each call from another thread."""

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Handle:
        """As in `EventLoop`, with a wake-up whether the loop sleeps or not."""
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self.wakeup.wake()
        return handle


class ResolvingLoop(EventLoop):
    """Has the C library take address literals apart, in the executor."""

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        """`socket.getaddrinfo` in the executor, always; connecting still has its short way."""
        family, kind = hints.get("family", 0), hints.get("type", 0)
        proto, flags = hints.get("proto", 0), hints.get("flags", 0)
        return await self.run_in_executor(
            None, socket.getaddrinfo, host, port, family, kind, proto, flags
        )


def waking_each_time() -> EventLoop:
    """A loop whose wake-up socket is written to for each call from another thread."""
    return WakingLoop()


def resolving_literals() -> EventLoop:
    """A loop that has no short way for address literals."""
    return ResolvingLoop()
