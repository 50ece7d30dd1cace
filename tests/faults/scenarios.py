"""Small programs of the loop. Each says whether it got its work done."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.faults.failing_kernel import FailingKernel
from tests.net.certificates import client_context, server_context

__all__ = ["SCENARIOS", "Told", "scenario"]

Scenario = Callable[["Told"], Coroutine[Any, Any, bool]]
SCENARIOS: dict[str, Scenario] = {}

DATA = bytes(range(256)) * 1200  # 300 KiB: more than one buffer
SMALL = b"hello" * 20


class Told:
    """Whom the loop tells of errors, beside the scenario."""

    def __init__(self, kernel: FailingKernel) -> None:
        self.kernel = kernel
        self.protocols: list[BaseException] = []
        self.handler: list[dict[str, Any]] = []

    @contextmanager
    def peers(self) -> Iterator[None]:
        """Calls that are a peer's, and do not fail."""
        resting, self.kernel.resting = self.kernel.resting, True
        try:
            yield
        finally:
            self.kernel.resting = resting


@asynccontextmanager
async def until_closed(server: Any) -> AsyncIterator[None]:
    """Close the server in the end, and wait for its connections where that is right."""
    try:
        yield
    finally:
        server.close()
        if sys.version_info >= (3, 12):
            await server.wait_closed()


def scenario(main: Scenario) -> Scenario:
    """One more."""
    SCENARIOS[main.__name__] = main
    return main


class Receiver(asyncio.Protocol):
    """Keeps what comes, and gives it back if it is to."""

    def __init__(self, told: Told, *, echoes: bool = False) -> None:
        self.told, self.echoes = told, echoes
        self.data = bytearray()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.echoes:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.told.protocols.append(exc)
        if not self.lost.done():
            self.lost.set_result(None)

    def error_received(self, exc: Exception) -> None:
        self.told.protocols.append(exc)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.data += data
        if self.echoes:
            self.transport.sendto(data, addr)

    async def until(self, size: int) -> bool:
        """True once so much is here; False if the connection was lost before."""
        while len(self.data) < size and not self.lost.done():
            await asyncio.sleep(0.001)
        return len(self.data) >= size


async def echo(told: Told, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError as exc:
        told.protocols.append(exc)
    finally:
        await closed(told, writer)


async def closed(told: Told, writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except OSError as exc:
        told.protocols.append(exc)


async def streams_on(told: Told, server: Any, connect: Any, *, ends: bool) -> bool:
    """An echo of DATA over streams."""
    async with until_closed(server):
        reader, writer = await connect()
        try:

            async def send() -> None:
                writer.write(DATA)
                writer.writelines([SMALL, DATA])
                await writer.drain()
                if ends:
                    writer.write_eof()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send())
                got = tasks.create_task(reader.readexactly(2 * len(DATA) + len(SMALL)))
            return got.result() == DATA + SMALL + DATA
        finally:
            await closed(told, writer)


def echo_server(told: Told) -> Any:
    return lambda reader, writer: echo(told, reader, writer)


@scenario
async def sleeping(told: Told) -> bool:
    await asyncio.sleep(0.001)
    return True


@scenario
async def calls_from_threads(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    for _ in range(3):
        done = loop.create_future()
        thread = threading.Thread(
            target=loop.call_soon_threadsafe, args=(done.set_result, None), name="MainThread too"
        )
        await asyncio.sleep(0)
        thread.start()
        await done
        thread.join()
    return True


@scenario
async def tcp_streams(told: Told) -> bool:
    server = await asyncio.start_server(echo_server(told), "127.0.0.1", 0)

    def connect() -> Any:
        return asyncio.open_connection(*server.sockets[0].getsockname())

    return await streams_on(told, server, connect, ends=True)


@scenario
async def unix_streams(told: Told) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        server = await asyncio.start_unix_server(echo_server(told), path)
        return await streams_on(told, server, lambda: asyncio.open_unix_connection(path), ends=True)


@scenario
async def tls_streams(told: Told) -> bool:
    server = await asyncio.start_server(echo_server(told), "127.0.0.1", 0, ssl=server_context())

    def connect() -> Any:
        name = server.sockets[0].getsockname()
        return asyncio.open_connection(*name, ssl=client_context(), server_hostname="localhost")

    return await streams_on(told, server, connect, ends=False)


@scenario
async def start_tls(told: Told) -> bool:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readline()
            writer.write(b"go on\n")
            await writer.start_tls(server_context())
            writer.write(await reader.readexactly(1000))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError) as exc:
            told.protocols.append(exc)
        finally:
            await closed(told, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with until_closed(server):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            writer.write(b"start\n")
            if await reader.readline() != b"go on\n":
                return False
            await writer.start_tls(client_context(), server_hostname="localhost")
            writer.write(b"x" * 1000)
            return await reader.readexactly(1000) == b"x" * 1000
        finally:
            await closed(told, writer)


@scenario
async def protocols(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(told, echoes=True), "127.0.0.1", 0)
    async with until_closed(server):
        transport, receiver = await loop.create_connection(
            lambda: Receiver(told), *server.sockets[0].getsockname()
        )
        transport.write(DATA)
        done = await receiver.until(len(DATA))
        transport.close()
        await receiver.lost
        return done and bytes(receiver.data) == DATA


@scenario
async def datagrams(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    serving, _ = await loop.create_datagram_endpoint(
        lambda: Receiver(told, echoes=True), local_addr=("127.0.0.1", 0)
    )
    try:
        # The transport's note of it is None if the kernel would not say.
        name = serving.get_extra_info("socket").getsockname()
        transport, receiver = await loop.create_datagram_endpoint(
            lambda: Receiver(told), remote_addr=name
        )
        try:
            for _ in range(5):  # some may be lost, and the last one tells
                transport.sendto(SMALL)
                if await arrives(receiver):
                    return True
            return False
        finally:
            transport.close()
            await receiver.lost
    finally:
        serving.close()
        await asyncio.sleep(0)


async def arrives(receiver: Receiver) -> bool:
    for _ in range(20):
        if receiver.data:
            return True
        await asyncio.sleep(0.001)
    return False


@scenario
async def pipes(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as source, os.fdopen(writing, "wb", 0) as target:
        reader, receiver = await loop.connect_read_pipe(lambda: Receiver(told), source)
        try:
            writer, sender = await loop.connect_write_pipe(lambda: Receiver(told), target)
            writer.write(DATA)
            done = await asyncio.wait_for(until_either(receiver, sender, len(DATA)), 5)
            writer.close()
            await sender.lost
            return done and bytes(receiver.data) == DATA
        finally:
            reader.close()
            await receiver.lost


async def until_either(receiver: Receiver, sender: Receiver, size: int) -> bool:
    while len(receiver.data) < size:
        if receiver.lost.done() or sender.lost.done():
            return False
        await asyncio.sleep(0.001)
    return True


@scenario
async def child_that_talks(told: Told) -> bool:
    child = await asyncio.create_subprocess_exec(
        "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await child.communicate(DATA)
        # `communicate` says nothing of what it could not write. The writer does.
        assert child.stdin is not None
        await child.stdin.wait_closed()
        return output == DATA and child.returncode == 0
    finally:
        await ended(child)


async def ended(child: asyncio.subprocess.Process) -> None:
    child._transport.close()  # type: ignore[attr-defined]
    await child.wait()


@scenario
async def child_that_is_killed(told: Told) -> bool:
    child = await asyncio.create_subprocess_exec("sleep", "2", stdout=asyncio.subprocess.DEVNULL)
    try:
        child.kill()
        return await child.wait() == -signal.SIGKILL
    finally:
        await ended(child)


@scenario
async def file_by_transport(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(DATA)
        server = await loop.create_server(lambda: Receiver(told, echoes=True), "127.0.0.1", 0)
        async with until_closed(server):
            transport, receiver = await loop.create_connection(
                lambda: Receiver(told), *server.sockets[0].getsockname()
            )
            try:
                with path.open("rb") as file:
                    await loop.sendfile(transport, file)
                done = await receiver.until(len(DATA))
            finally:
                transport.close()
                await receiver.lost
            return done and bytes(receiver.data) == DATA


@scenario
async def bare_sockets(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        for sock in (listener, client):
            sock.setblocking(False)
        await loop.sock_connect(client, listener.getsockname())
        server, _ = await loop.sock_accept(listener)
        with server:
            await loop.sock_sendall(client, SMALL)
            buffer = bytearray(len(SMALL))
            count = 0
            while count < len(SMALL):
                count += await loop.sock_recv_into(server, memoryview(buffer)[count:])
            await loop.sock_sendall(server, buffer)
            got = b""
            while len(got) < len(SMALL):
                data = await loop.sock_recv(client, 1000)
                if not data:
                    return False
                got += data
            return got == SMALL


@scenario
async def watched_descriptor(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        readable, writable = loop.create_future(), loop.create_future()
        loop.add_reader(ours, lambda: readable.done() or readable.set_result(None))
        try:
            while True:
                try:
                    theirs.send(b"x")
                    break
                except OSError as exc:
                    told.protocols.append(exc)
            await readable
            loop.add_writer(ours, lambda: writable.done() or writable.set_result(None))
            await writable
            loop.remove_writer(ours)
        finally:
            loop.remove_reader(ours)
            loop.remove_writer(ours)
    return True


@scenario
async def signals(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, came.set)
    try:
        signal.raise_signal(signal.SIGUSR1)
        await came.wait()
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
    return True


@scenario
async def threads(told: Told) -> bool:
    numbers = await asyncio.gather(*(asyncio.to_thread(abs, -number) for number in range(3)))
    return numbers == [0, 1, 2]


@scenario
async def names(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    return bool(await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM))
