"""A server, its connections, and the protocols that it has made for them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.net.recording_protocol import Recorder

__all__ = ["Accepted", "connect_to", "end", "listen"]


class Accepted:
    """A protocol factory that keeps the protocols it has made."""

    def __init__(self) -> None:
        self.protocols: list[Recorder] = []
        self.changed = asyncio.Event()

    def __call__(self) -> Recorder:
        self.protocols.append(Recorder())
        self.changed.set()
        return self.protocols[-1]

    async def count(self, number: int) -> list[Recorder]:
        """The protocols, once there are so many and each has its transport."""
        while len([one for one in self.protocols if one.calls]) < number:
            await asyncio.sleep(0.001)
        return self.protocols


async def connect_to(server: Any) -> tuple[Any, Recorder]:
    loop = asyncio.get_running_loop()
    address = server.sockets[0].getsockname()
    transport, protocol = await loop.create_connection(Recorder, *address[:2])
    return transport, protocol


async def listen(**kwargs: Any) -> tuple[Any, Accepted]:
    accepted = Accepted()
    loop = asyncio.get_running_loop()
    return await loop.create_server(accepted, "127.0.0.1", 0, **kwargs), accepted


async def end(server: Any, *protocols: Recorder) -> None:
    """Close everything and wait for it."""
    server.close()
    for protocol in protocols:
        protocol.transport.close()
        await protocol.lost
    await server.wait_closed()
    await asyncio.sleep(0)
