"""`complete` awaits, under the logger's lock, a sink that wants to log something itself."""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import pause

REPORT = "Delgan/loguru#972"
KIND = "lock held over a slow await"


class Logger:
    """Messages are written by tasks; `complete` waits for those."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.writing: list[asyncio.Task[None]] = []
        self.lines: list[str] = []

    async def log(self, text: str) -> None:
        async with self.lock:
            self.writing.append(asyncio.create_task(self.write(text), name=f"write {text}"))

    async def write(self, text: str) -> None:
        await pause()
        if text == "disk full":
            await self.log("could not write")
        self.lines.append(text)

    async def complete(self) -> None:
        async with self.lock:
            await asyncio.gather(*self.writing)


class FixedLogger(Logger):
    async def complete(self) -> None:
        while pending := [task for task in self.writing if not task.done()]:
            await asyncio.gather(*pending)


async def scenario(logger: Logger) -> None:
    await logger.log("disk full")
    await pause(4)
    await logger.complete()
    assert "could not write" in logger.lines


async def buggy() -> None:
    await scenario(Logger())


async def fixed() -> None:
    await scenario(FixedLogger())
