"""Steps on one end of a pipe."""

from __future__ import annotations

import os
from typing import Any

from tests.differential.io.peer import PipePeer
from tests.differential.io.streams import Plain, Streams

__all__ = ["Pipes"]


class Pipes(Streams):
    """A pipe of which we have the reading or the writing end."""

    async def begin(self) -> None:
        world, options = self.world, self.world.program.options
        reading_fd, writing_fd = os.pipe()
        we_read = options["end"] == "read"
        ours, theirs = (reading_fd, writing_fd) if we_read else (writing_fd, reading_fd)
        self.peer = PipePeer(world, "peer", theirs, reading=not we_read)
        world.peers.append(self.peer)
        file = world.stack.enter_context(os.fdopen(ours, "rb" if we_read else "wb", 0))
        loop: Any = world.loop
        connect = loop.connect_read_pipe if we_read else loop.connect_write_pipe
        protocol = Plain(world, 0, options.get("hooks", {}))
        self.transport, _ = await connect(lambda: protocol, file)
        world.transports.append(self.transport)
