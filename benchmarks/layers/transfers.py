"""Sockets beyond the echo: opening, closing and bulk; and the services of the system."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from typing import cast

from benchmarks.catalogue import benchmark
from benchmarks.far_end import order, server
from benchmarks.job import Job

MIB = 1024 * 1024
CHUNK = 256 * 1024  # bytes that a sender writes at a time


class OneByte(asyncio.Protocol):
    """Echoes one byte and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Send it back; closing waits until it has left."""
        self.transport.write(data)
        self.transport.close()


@benchmark("sockets/accept", counts="connection", far_end=True, limit="visits")
async def accept(job: Job) -> int:
    """Clients that connect to a server here, one after the other: accept, one byte, close."""
    loop = asyncio.get_running_loop()
    accepted = 0

    def welcome() -> OneByte:
        nonlocal accepted
        accepted += 1
        return OneByte()

    listening = await loop.create_server(welcome, "127.0.0.1", 0)
    async with listening:
        address = listening.sockets[0].getsockname()
        await order(job, "visitor", address=address, times=job.n)
    return accepted


@benchmark("sockets/connect", counts="connection", far_end=True)
async def connect(job: Job) -> int:
    """`create_connection` to the far end by its numeric address, and `close`, one by one."""
    loop = asyncio.get_running_loop()
    done = 0

    class Visit(asyncio.Protocol):
        def __init__(self) -> None:
            self.over = loop.create_future()

        def connection_lost(self, exc: Exception | None) -> None:
            self.over.set_result(None)

    async with server(job, "host") as far_end:
        host, port = far_end["address"]
        with job.timed():
            for _ in range(job.n):
                transport, visit = await loop.create_connection(Visit, host, port)
                transport.close()
                await visit.over
                done += 1
    return done


@benchmark("sockets/sock-connect", counts="connection", far_end=True)
async def sock_connect(job: Job) -> int:
    """`sock_connect` to the far end by its numeric address, and `close`, one by one."""
    loop = asyncio.get_running_loop()
    done = 0
    async with server(job, "host") as far_end:
        address = tuple(far_end["address"])
        with job.timed():
            for _ in range(job.n):
                with socket.socket() as sock:
                    sock.setblocking(False)
                    await loop.sock_connect(sock, address)
                    done += 1
    return done


@benchmark("sockets/bulk-send", counts="MiB", far_end=True)
async def bulk_send(job: Job) -> int:
    """Writes 256 KiB at a time to one connection, and pauses when the transport says so."""
    loop = asyncio.get_running_loop()
    left = job.n * MIB

    class Sender(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.WriteTransport, transport)
            self.paused = False

        def data_received(self, data: bytes) -> None:
            self.send()

        def pause_writing(self) -> None:
            self.paused = True

        def resume_writing(self) -> None:
            self.paused = False
            self.send()

        def send(self) -> None:
            nonlocal left
            while left and not self.paused:
                left -= CHUNK
                self.transport.write(chunk)

    chunk = bytes(CHUNK)
    listening = await loop.create_server(Sender, "127.0.0.1", 0)
    async with listening:
        address = listening.sockets[0].getsockname()
        await order(job, "sink", address=address, mebibytes=job.n)
    return job.n - left // MIB


@benchmark("sockets/bulk-receive", counts="MiB", far_end=True)
async def bulk_receive(job: Job) -> int:
    """Receives all that one connection can bring."""
    loop = asyncio.get_running_loop()
    received = 0

    class Receiver(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.WriteTransport, transport)

        def data_received(self, data: bytes) -> None:
            nonlocal received
            received += len(data)
            if received == job.n * MIB:
                self.transport.write(b"!")

    listening = await loop.create_server(Receiver, "127.0.0.1", 0)
    async with listening:
        address = listening.sockets[0].getsockname()
        await order(job, "source", address=address, mebibytes=job.n)
    return received // MIB


@benchmark("sockets/sendfile", counts="MiB", far_end=True)
async def sendfile(job: Job) -> int:
    """Sends a file of 1 MiB by `loop.sendfile`, over and over, on one connection."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[asyncio.WriteTransport] = loop.create_future()
    sent = 0

    class Asked(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.WriteTransport, transport)

        def data_received(self, data: bytes) -> None:
            asked.set_result(self.transport)

    async def send() -> None:
        nonlocal sent
        transport = await asked
        for _ in range(job.n):
            sent += await loop.sendfile(transport, file)

    listening = await loop.create_server(Asked, "127.0.0.1", 0)
    with tempfile.TemporaryFile() as file:
        file.write(bytes(MIB))
        file.flush()
        async with listening:
            address = listening.sockets[0].getsockname()
            await asyncio.gather(send(), order(job, "sink", address=address, mebibytes=job.n))
    return sent // MIB


@benchmark("sockets/subprocess", counts="process")
async def subprocess(job: Job) -> int:
    """Start a process that does nothing, and wait for its exit code."""
    true = shutil.which("true")
    assert true is not None, "there is no 'true' on PATH"
    done = 0
    with job.timed():
        for _ in range(job.n):
            process = await asyncio.create_subprocess_exec(true)
            done += await process.wait() == 0
    return done


@benchmark("sockets/executor", counts="round trip")
async def executor(job: Job) -> int:
    """Have a function that does nothing called in the default executor, and wait for it."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, int)  # have the executor's thread started
    done = 0
    with job.timed():
        for _ in range(job.n):
            done += await loop.run_in_executor(None, int, 1)
    return done


@benchmark("sockets/getaddrinfo-literal", counts="look-up")
async def getaddrinfo_literal(job: Job) -> int:
    """Resolve 127.0.0.1, which needs no resolver."""
    loop = asyncio.get_running_loop()
    done = 0
    with job.timed():
        for _ in range(job.n):
            found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
            done += found[0][4] == ("127.0.0.1", 80)
    return done
