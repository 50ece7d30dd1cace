"""A message is sent again after a timeout, although only its acknowledgement was late."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import MOMENT

REPORT = "aio-libs/aiokafka#197"
KIND = "a retry that duplicates"


class Broker:
    """Appends to its log at once, and acknowledges after a moment."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.seen: set[int] = set()

    async def append(self, message: str, sequence: int | None) -> None:
        if sequence not in self.seen:
            self.log.append(message)
        if sequence is not None:
            self.seen.add(sequence)
        await asyncio.sleep(MOMENT)


async def send(broker: Broker, message: str, sequence: int | None) -> None:
    for _ in range(3):
        try:
            async with asyncio.timeout(1.2 * MOMENT):
                await broker.append(message, sequence)
        except TimeoutError:
            continue
        return


async def scenario(*, idempotent: bool) -> None:
    broker = Broker()
    await asyncio.gather(
        *(send(broker, name, number if idempotent else None) for number, name in enumerate("ab"))
    )
    assert sorted(broker.log) == ["a", "b"]


async def buggy() -> None:
    await scenario(idempotent=False)


async def fixed() -> None:
    await scenario(idempotent=True)
