"""What is sent as a file, and both ends of what it goes through."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

DATA = os.urandom(2_000_000)


class InMemory(io.BytesIO):
    """A file of which the kernel knows nothing."""


@contextmanager
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


async def read_all(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    pieces = []
    while piece := await loop.sock_recv(sock, 100_000):
        pieces.append(piece)
    return b"".join(pieces)


class Noted(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.paused = False
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def pause_writing(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_writing(self) -> None:
        assert self.paused
        self.paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


async def open_transport(sock: socket.socket) -> tuple[asyncio.Transport, Noted]:
    loop = asyncio.get_running_loop()
    return await loop.create_unix_connection(Noted, sock=sock)
