"""A server that says what it was sent, and requests to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from crawler.http import (
    Client,
    Response,
)
from tests.crawler.scripted import Peer
from tests.crawler.test_tls import client_context


def read_body(peer: Peer, head: bytes) -> bytes:
    """What a request's head says that follows it, chunks undone."""
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(read_line(peer), 16):
            body += exactly(peer, size)
            assert read_line(peer) == b""
        assert read_line(peer) == b""
        return body
    return exactly(peer, int(fields.get(b"content-length", b"0")))


def read_line(peer: Peer) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        line += exactly(peer, 1)
    return line[:-2]


def exactly(peer: Peer, size: int) -> bytes:
    parts = []
    while size:
        data = peer.sock.recv(min(size, 1 << 20))
        if not data:
            raise ConnectionError("the client left in the middle of a body")
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


class Echo:
    """A script that keeps what it gets and answers with it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while head := peer.request():
            self.bodies.append(read_body(peer, head))
            peer.reply(self.bodies[-1])


async def send(method: str, url: str, **options: Any) -> Response:
    async with Client(tls=client_context()) as client:
        return await client.request(method, url, **options)


def fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return dict(line.split(": ", 1) for line in lines)


# ---- bodies out --------------------------------------------------------------------------------


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"one", b"", b"two" * 100_000, b"three"):
        await asyncio.sleep(0)
        yield piece
