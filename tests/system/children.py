"""A child that waits to be ended, and a protocol that notes what it is told of a child."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

# A child that says when it runs, and then waits to be ended.
WAITS = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")


class Events(asyncio.SubprocessProtocol):
    """A protocol that notes what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.events.append(("data", fd, data))

    def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None:
        self.events.append(("pipe lost", fd))

    def process_exited(self) -> None:
        self.events.append("exited")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.set_result(None)
