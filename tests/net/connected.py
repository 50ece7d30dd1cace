"""A transport whose other end is a bare socket in the hands of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

P = TypeVar("P", bound=asyncio.BaseProtocol)


# Bytes. Without it the kernel takes what it likes: several megabytes, if it has much memory.
KERNEL_BUFFER = 128 * 1024


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection, non-blocking, with kernel buffers of a known size."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname())
        right, _ = listener.accept()
    for end in (left, right):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER)
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return left, right


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection between Unix sockets, non-blocking."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    return left, right


@contextlib.asynccontextmanager
async def connected(
    factory: Callable[[], P],
    make_pair: Callable[[], tuple[socket.socket, socket.socket]] = tcp_pair,
) -> AsyncIterator[tuple[Any, P, socket.socket]]:
    """A transport, its protocol and the bare socket that is its peer; both closed at the end."""
    loop = asyncio.get_running_loop()
    ours, peer = make_pair()
    transport, protocol = await loop.connect_accepted_socket(factory, ours)
    try:
        yield transport, protocol, peer
    finally:
        if not transport.is_closing():
            transport.abort()
        peer.close()
        await asyncio.sleep(0)  # for connection_lost
        await asyncio.sleep(0)


async def receive_until_eof(peer: socket.socket) -> bytes:
    """All that comes before the end."""
    loop = asyncio.get_running_loop()
    pieces = []
    while piece := await loop.sock_recv(peer, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


async def receive_exactly(peer: socket.socket, count: int) -> bytes:
    """So many bytes."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < count:
        piece = await loop.sock_recv(peer, count - len(data))
        assert piece, f"the connection ended {count - len(data)} bytes too early"
        data += piece
    return bytes(data)
