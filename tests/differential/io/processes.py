"""Steps on a child process. These take real time: the steps wait for what they lead to."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.differential.io.world import World, payload

__all__ = ["Processes"]

PIPE = asyncio.subprocess.PIPE


class Processes:
    """A child of /bin/sh, and tasks that talk to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.process: Any = None
        self.named = 0

    async def begin(self) -> None:
        options = self.world.program.options
        try:
            self.process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                options["command"],
                stdin=PIPE if options["stdin"] else asyncio.subprocess.DEVNULL,
                stdout=PIPE,
                stderr=PIPE if options["stderr"] else asyncio.subprocess.STDOUT,
            )
        except OSError as exc:
            self.world.note("steps", "start", exc)

    async def end(self) -> None:
        if self.process is None:
            return
        if self.process.stdin is not None and "communicate 1" not in self.world.tasks:
            self.process.stdin.close()
        tasks = list(self.world.tasks.values())
        await self.world.until(lambda: all(task.done() for task in tasks))
        await asyncio.wait_for(self.process.wait(), 5)
        self.process._transport.close()
        self.world.note("process", "returncode", self.process.returncode)
        # The pipes are closed behind it.
        await self.world.settle()

    def _spawn(self, name: str, coro: Any) -> None:
        self.named += 1
        self.world.spawn(f"{name} {self.named}", coro)

    def do_communicate(self, size: int | None) -> None:
        if self.process is not None:
            data = None if size is None or self.process.stdin is None else payload(size)
            self._spawn("communicate", self.process.communicate(data))

    def do_wait(self) -> None:
        if self.process is not None:
            self._spawn("wait", self.process.wait())

    def do_read(self, size: int) -> None:
        if self.process is not None:
            self._spawn("read", self.process.stdout.readexactly(size))

    def do_write(self, size: int) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.write(payload(size))
            self._spawn("drain", self._drained())

    async def _drained(self) -> str:
        try:
            await self.process.stdin.drain()
        except ConnectionError:
            return "gone"  # or not: it depends on how quick the child is
        return "drained or gone"[11:]

    def do_signal(self, what: str) -> None:
        if self.process is not None:
            try:
                getattr(self.process, what)()
            except ProcessLookupError:
                pass  # how quick the child is does not depend on the loop
