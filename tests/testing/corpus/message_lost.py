"""`recv` is cancelled just as a message has come, and the message is gone.

It waits for a task that takes the message from the queue. When it is cancelled it cancels that
task; if that is done already, it has the message, and nobody looks.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "python-websockets/websockets#486"
KIND = "result lost by cancelling"


class Socket:
    """Messages arrive in `inbox`."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[str] = asyncio.Queue()

    async def recv(self) -> str:
        taking = asyncio.create_task(self.inbox.get())
        try:
            await asyncio.wait({taking})
        except asyncio.CancelledError:
            taking.cancel()
            raise
        return taking.result()


class FixedSocket(Socket):
    async def recv(self) -> str:
        return await self.inbox.get()  # takes the message after the last `await`, or not at all


async def scenario(socket: Socket) -> None:
    async def peer() -> None:
        await pause(2)
        socket.inbox.put_nowait("hello")

    sending = asyncio.create_task(peer(), name="peer")
    first = asyncio.create_task(socket.recv(), name="first recv")
    await pause(2)
    first.cancel()
    try:
        message = await first
    except asyncio.CancelledError:
        message = await socket.recv()
    assert message == "hello"
    await sending


async def buggy() -> None:
    await scenario(Socket())


async def fixed() -> None:
    await scenario(FixedSocket())
