"""Echo servers on the loop under test, one for each way that asyncio has to move bytes.

Their clients are at the far end, and so is the clock: from the first request that is sent to the
last reply that has come. Each connection has one message under way at a time.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar, cast

from benchmarks.catalogue import benchmark
from benchmarks.certificate import server_context
from benchmarks.far_end import exchange
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
# A thousand handshakes before each sample would take longer than all else together.
TLS_SHAPES = [shape for shape in SHAPES if shape.connections < 1000]
# What the receive buffer of one UDP socket holds: beyond that the kernel drops datagrams.
UDP_SHAPES = [shape for shape in SHAPES if shape.size * shape.connections <= 100 * KIB]
BACKLOG = 1024


def per_connection(shape: Shape) -> int:
    """Each connection carries as many messages as the next, so `n` is a multiple of them."""
    return shape.connections


class Echo(asyncio.Protocol):
    """Writes back what it is given, and counts."""

    def __init__(self) -> None:
        self.echoed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the one method that is needed."""
        self.write = cast(asyncio.WriteTransport, transport).write

    def data_received(self, data: bytes) -> None:
        """Write it back at once."""
        self.echoed += len(data)
        self.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The same with a buffer of its own, into which the loop receives.

    All connections share it: it is emptied before the next one reads, and a thousand of them would
    measure how fast the kernel hands out memory.
    """

    buffer = memoryview(bytearray(256 * KIB))

    def __init__(self) -> None:
        self.echoed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the one method that is needed."""
        self.write = cast(asyncio.WriteTransport, transport).write

    def get_buffer(self, sizehint: int) -> memoryview:
        """The whole buffer: what was in it has been copied away by now."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Write a copy back, since the transport may keep what it is given."""
        self.echoed += nbytes
        self.write(bytes(self.buffer[:nbytes]))


class DatagramEcho(asyncio.DatagramProtocol):
    """Sends each datagram back to where it came from."""

    def __init__(self) -> None:
        self.echoed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the one method that is needed."""
        self.sendto = cast(asyncio.DatagramTransport, transport).sendto

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Send it back at once."""
        self.echoed += len(data)
        self.sendto(data, address)


class Counter(Protocol):
    """Whatever counts the bytes that it has echoed."""

    echoed: int


P = TypeVar("P", bound=Counter)


def kept(make: Callable[[], P], all_made: list[P]) -> Callable[[], P]:
    """A factory of protocols that remembers what it has made."""

    def factory() -> P:
        made = make()
        all_made.append(made)
        return made

    return factory


def messages(job: Job, served: list[P]) -> int:
    """How many messages all of `served` have echoed together."""
    return sum(protocol.echoed for protocol in served) // job.size


@benchmark(
    "sockets/protocol",
    counts="message",
    shapes=SHAPES,
    step=per_connection,
    far_end=True,
    limit="tcp",
)
async def protocol(job: Job) -> int:
    """TCP echo by `create_server` and a Protocol that writes back what it is given."""
    loop = asyncio.get_running_loop()
    served: list[Echo] = []
    server = await loop.create_server(kept(Echo, served), "127.0.0.1", 0, backlog=BACKLOG)
    async with server:
        await exchange(job, "tcp", server.sockets[0].getsockname())
    return messages(job, served)


@benchmark("sockets/buffered", counts="message", shapes=SHAPES, step=per_connection, far_end=True)
async def buffered(job: Job) -> int:
    """TCP echo by `create_server` and a BufferedProtocol, which brings its own buffer."""
    loop = asyncio.get_running_loop()
    served: list[BufferedEcho] = []
    server = await loop.create_server(kept(BufferedEcho, served), "127.0.0.1", 0, backlog=BACKLOG)
    async with server:
        await exchange(job, "tcp", server.sockets[0].getsockname())
    return messages(job, served)


@benchmark("sockets/streams", counts="message", shapes=SHAPES, step=per_connection, far_end=True)
async def streams(job: Job) -> int:
    """TCP echo by `start_server`, `StreamReader.read` and `StreamWriter.drain`."""
    echoed = 0

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal echoed
        while data := await reader.read(256 * KIB):
            echoed += len(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=BACKLOG)
    async with server:
        await exchange(job, "tcp", server.sockets[0].getsockname())
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
            for _ in range(job.connections):
                connection, _ = await loop.sock_accept(listener)
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections.create_task(echo(connection))

    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        server = asyncio.create_task(accept(listener))
        await exchange(job, "tcp", listener.getsockname())
        await server
    return echoed // job.size


@benchmark(
    "sockets/tls",
    counts="message",
    shapes=TLS_SHAPES,
    step=per_connection,
    far_end=True,
    requires=("trustme",),
)
async def tls(job: Job) -> int:
    """The Protocol echo over TLS; the handshakes are over before the clock starts."""
    loop = asyncio.get_running_loop()
    served: list[Echo] = []
    server = await loop.create_server(
        kept(Echo, served), "127.0.0.1", 0, backlog=BACKLOG, ssl=server_context()
    )
    async with server:
        await exchange(job, "tls", server.sockets[0].getsockname())
    return messages(job, served)


@benchmark(
    "sockets/unix",
    counts="message",
    shapes=SHAPES,
    step=per_connection,
    far_end=True,
    limit="unix",
)
async def unix(job: Job) -> int:
    """The Protocol echo over a Unix socket."""
    loop = asyncio.get_running_loop()
    served: list[Echo] = []
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "echo")
        server = await loop.create_unix_server(kept(Echo, served), path, backlog=BACKLOG)
        async with server:
            await exchange(job, "unix", path)
    return messages(job, served)


@benchmark(
    "sockets/udp",
    counts="datagram",
    shapes=UDP_SHAPES,
    step=per_connection,
    far_end=True,
    limit="udp",
)
async def udp(job: Job) -> int:
    """UDP echo by `create_datagram_endpoint`; one socket here, so many at the far end."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * KIB)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    transport, echo = await loop.create_datagram_endpoint(DatagramEcho, sock=sock)
    try:
        await exchange(job, "udp", sock.getsockname())
    finally:
        transport.close()
    return echo.echoed // job.size
