"""Small servers that run on a host of a simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from miniloop.testing.network import Host


@asynccontextmanager
async def served(host: Host, start: Any) -> AsyncIterator[Any]:
    """What `await start()` has made on `host`, an asyncio server, closed at the end."""
    server = await host.run(start())
    try:
        yield server
    finally:
        server.close()
        await server.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Give everything back, until the peer has finished."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # said by the client's side of the test
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


class RedisServer:
    """As much of Redis as a client needs to count: RESP 2, no more than a handful of commands."""

    def __init__(self) -> None:
        self.values: dict[bytes, int] = {}
        self.commands: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while header := await reader.readline():
                parts = []
                for _ in range(int(header[1:])):
                    size = int((await reader.readline())[1:])
                    parts.append((await reader.readexactly(size + 2))[:-2])
                writer.write(self._answer(parts))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, parts: list[bytes]) -> bytes:
        command = parts[0].upper()
        self.commands.append(command)
        if command == b"INCRBY":
            self.values[parts[1]] = self.values.get(parts[1], 0) + int(parts[2])
            return b":%d\r\n" % self.values[parts[1]]
        if command == b"GET":
            value = self.values.get(parts[1])
            if value is None:
                return b"$-1\r\n"
            text = b"%d" % value
            return b"$%d\r\n%s\r\n" % (len(text), text)
        if command in (b"CLIENT", b"SELECT"):
            return b"+OK\r\n"
        if command == b"PING":
            return b"+PONG\r\n"
        return b"-ERR unknown command\r\n"
