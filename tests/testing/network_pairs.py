"""Both ends of a connection on the simulated network."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

from miniloop.testing import run
from miniloop.testing.network import Network
from tests.testing.network_programs import echo, served


class Pair:
    """A network with an echo server on one host, and another host."""

    def __init__(self, **how: Any) -> None:
        self.network = Network(**how)
        self.server, self.client = self.network.host("server"), self.network.host("client")

    def run(self, visit: Callable[[], Coroutine[Any, Any, Any]], **how: Any) -> Any:
        """The result of `visit()` on the client."""

        async def start() -> Any:
            return await asyncio.start_server(echo, "0.0.0.0", 7, **how)

        async def main() -> Any:
            async with served(self.server, start):
                return await self.client.run(visit())

        try:
            return run(main(), network=self.network, until=10_000)
        finally:
            gc.collect()


def now() -> float:
    return asyncio.get_running_loop().time()


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass
