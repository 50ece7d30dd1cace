"""Differences that the random programs have found, and no other test shows."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import miniloop
from tests.differential.io.contexts import client_tls, server_tls


class Told(asyncio.Protocol):
    def __init__(self, *, raises: bool = False) -> None:
        self.calls: list[str] = []
        self.lost = asyncio.get_running_loop().create_future()
        self._raises = raises

    def connection_made(self, transport: Any) -> None:
        if self._raises:
            raise ValueError("as it should")

    def eof_received(self) -> None:
        self.calls.append("eof_received")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")
        self.lost.set_result(exc)


def test_errors_of_protocols_are_reported_in_words_of_the_transport() -> None:
    # Ours alone: asyncio names the method in which it was.
    messages: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: messages.append(context["message"]))
        ours, theirs = socket.socketpair()
        with theirs:
            transport, protocol = await loop.create_connection(lambda: Told(raises=True), sock=ours)
            transport.abort()
            await protocol.lost

    miniloop.run(main())
    assert messages == ["protocol.connection_made() call failed."]


def test_a_closed_transport_may_be_used() -> None:
    # Ours alone: asyncio's has forgotten its loop and its protocol, and stumbles over that.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            transport, protocol = await loop.create_connection(Told, sock=ours)
            transport.close()
            await protocol.lost
            transport.set_write_buffer_limits(high=0)
            transport.pause_reading()
            transport.resume_reading()
            transport.writelines([b"in", b"vain"])
            transport.write(b"in vain")
            transport.close()
            transport.abort()
            assert transport.is_closing()
            assert not transport.is_reading()

    miniloop.run(main())


async def tls_pair() -> tuple[Any, Told, Any, Told]:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    (ours_transport, ours_told), (theirs_transport, theirs_told) = await asyncio.gather(
        loop.create_connection(Told, sock=ours, ssl=client_tls(), server_hostname="localhost"),
        loop.connect_accepted_socket(Told, theirs, ssl=server_tls()),
    )
    return ours_transport, ours_told, theirs_transport, theirs_told


def test_the_end_of_tls_is_not_told_after_close() -> None:
    # Ours alone: asyncio tells of the peer's answer to our own close.
    async def main() -> None:
        transport, told, other, other_told = await tls_pair()
        transport.close()
        await told.lost
        assert told.calls == ["connection_lost"]
        await other_told.lost
        assert other_told.calls == ["eof_received", "connection_lost"]
        other.close()

    miniloop.run(main())


def test_a_closed_tls_transport_does_not_read() -> None:
    # Ours alone: asyncio's says that it reads.
    async def main() -> None:
        transport, told, other, other_told = await tls_pair()
        assert transport.is_reading()
        transport.abort()
        await told.lost
        assert not transport.is_reading()
        await other_told.lost
        other.close()
        assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)

    miniloop.run(main())
