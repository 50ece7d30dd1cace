"""`gather` raises the first error, and the other calls go on, with what the caller then closes."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import Connection, pause

REPORT = "modal-labs/modal-client#2445"
KIND = "gather leaves siblings running"


class Client:
    def __init__(self) -> None:
        self.connection = Connection()
        self.used_after_close = 0

    async def look_up(self, name: str, exists: bool) -> None:
        await pause(2)
        if self.connection.closed:
            self.used_after_close += 1
        if not exists:
            raise LookupError(name)

    async def look_up_all(self) -> None:
        await asyncio.gather(self.look_up("one", True), self.look_up("two", False))


class FixedClient(Client):
    async def look_up_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.look_up("one", True))
                group.create_task(self.look_up("two", False))
        except* LookupError as errors:
            raise errors.exceptions[0] from None


async def scenario(client: Client) -> None:
    try:
        await client.look_up_all()
    except LookupError:
        client.connection.close()
    await pause(4)
    assert client.used_after_close == 0


async def buggy() -> None:
    await scenario(Client())


async def fixed() -> None:
    await scenario(FixedClient())
