"""Sockets: a server on the loop under test, its clients at the far end.

The time is the far end's: from the first request that it sends to the last reply that it has.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from benchmarks.catalogue import benchmark
from benchmarks.far_end import drive
from benchmarks.job import Job, Shape

KIB = 1024
SHAPES = [
    Shape(size=KIB, connections=1),
    Shape(size=KIB, connections=10),
    Shape(size=KIB, connections=100),
    Shape(size=KIB, connections=1000),
    Shape(size=10 * KIB, connections=10),
    Shape(size=100 * KIB, connections=10),
]
BACKLOG = 1024


def per_connection(shape: Shape) -> int:
    """Each connection carries as many messages as the next, so `n` is a multiple of them."""
    return shape.connections


@benchmark("sockets/protocol", counts="message", shapes=SHAPES, step=per_connection, far_end=True)
async def protocol(job: Job) -> int:
    """TCP echo by `create_server` and a Protocol that writes back what it is given."""
    loop = asyncio.get_running_loop()
    echoed = 0

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.write = cast(asyncio.WriteTransport, transport).write

        def data_received(self, data: bytes) -> None:
            nonlocal echoed
            echoed += len(data)
            self.write(data)

    server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=BACKLOG)
    async with server:
        await drive(job, "tcp", server.sockets[0].getsockname())
    return echoed // job.size


@benchmark("sockets/sock", counts="message", shapes=SHAPES, step=per_connection, far_end=True)
async def sock(job: Job) -> int:
    """TCP echo by `sock_accept`, `sock_recv` and `sock_sendall`, one task a connection."""
    loop = asyncio.get_running_loop()
    echoed = 0

    async def echo(connection: socket.socket) -> None:
        nonlocal echoed
        with connection:
            while data := await loop.sock_recv(connection, 256 * KIB):
                echoed += len(data)
                await loop.sock_sendall(connection, data)

    async def accept(listener: socket.socket) -> None:
        async with asyncio.TaskGroup() as connections:
            while len(taken) < job.connections:
                connection, _ = await loop.sock_accept(listener)
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                taken.append(connections.create_task(echo(connection)))

    taken: list[asyncio.Task[None]] = []
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        server = asyncio.create_task(accept(listener))
        await drive(job, "tcp", listener.getsockname())
        await server
    return echoed // job.size
