"""The server's answer is handled before the client has stored the socket that it is about."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import Connection, pause

REPORT = "Rapptz/discord.py#2056"
KIND = "used before it is set up"


class VoiceClient:
    def __init__(self) -> None:
        self.socket: Connection | None = None
        self.is_set_up = asyncio.Event()

    async def connect(self) -> None:
        await pause()
        self.socket = Connection()
        self.is_set_up.set()

    async def server_changed(self) -> None:
        await pause(3)
        self.socket.close()  # type: ignore[union-attr]  # this is the bug


class FixedVoiceClient(VoiceClient):
    async def server_changed(self) -> None:
        await pause(3)
        await self.is_set_up.wait()
        assert self.socket is not None
        self.socket.close()


async def scenario(client: VoiceClient) -> None:
    await asyncio.gather(client.connect(), client.server_changed())


async def buggy() -> None:
    await scenario(VoiceClient())


async def fixed() -> None:
    await scenario(FixedVoiceClient())
