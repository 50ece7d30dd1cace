"""Against OpenSSL's own commands, which do what Python's ssl module has no way to ask for."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import miniloop
from miniloop.net.tls import TLSProtocol
from tests.net import certificates
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]

OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the openssl command is not installed")


class Process:
    """One openssl command: what is typed to it, and what it prints."""

    def __init__(self, *arguments: str) -> None:
        assert OPENSSL is not None
        self._process = subprocess.Popen(
            [OPENSSL, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    async def type(self, text: str) -> None:
        """Type a line, and wait until it is read.

        A letter by itself, such as K, is a command, but only if it is all that is there to read.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()
        unread = bytearray(struct.calcsize("i"))
        while True:
            fcntl.ioctl(self._process.stdin, termios.FIONREAD, unread)
            if not any(unread):
                return
            await asyncio.sleep(0.001)

    async def until(self, text: str) -> str:
        """What it prints, up to that text."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        printed = ""
        while text not in printed:
            loop = asyncio.get_running_loop()
            piece = await loop.run_in_executor(None, os.read, descriptor, 10_000)
            assert piece, f"openssl has ended: {printed}"
            printed += piece.decode(errors="replace")
        return printed

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def openssl(*arguments: str) -> Iterator[Process]:
    process = Process(*arguments)
    try:
        yield process
    finally:
        process.end()


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    path = tmp_path / "server.pem"
    certificates.SERVER.private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def connected_to_server(
    certificate: str, *arguments: str
) -> AsyncIterator[tuple[Process, Recorder]]:
    """openssl s_server, and our client on a connection to it."""
    port = free_port()
    options = ["-accept", f"127.0.0.1:{port}", "-cert", certificate, *arguments]
    with openssl("s_server", *options) as server:
        await server.until("ACCEPT")
        _, client = await asyncio.get_running_loop().create_connection(
            Recorder,
            "127.0.0.1",
            port,
            ssl=certificates.client_context(),
            server_hostname="localhost",
        )
        try:
            yield server, client
        finally:
            client.transport.abort()
            await client.lost


@contextlib.asynccontextmanager
async def connected_to_client(*arguments: str) -> AsyncIterator[tuple[Process, Recorder]]:
    """openssl s_client, and our end of its connection to our server."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    class Accepted(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            accepted.set_result(self)

    server = await loop.create_server(Accepted, "127.0.0.1", 0, ssl=certificates.server_context())
    port = server.sockets[0].getsockname()[1]
    with openssl("s_client", "-connect", f"127.0.0.1:{port}", *arguments) as client:
        end = await accepted
        try:
            yield client, end
        finally:
            end.transport.abort()
            await end.lost
            server.close()


def test_text_goes_both_ways(run: Run, certificate: str) -> None:
    async def main() -> None:
        async with connected_to_server(certificate) as (server, client):
            client.transport.write(b"from us\n")
            await server.until("from us")
            await server.type("from openssl\n")
            assert await client.received(13) == b"from openssl\n"

    run(main)


@pytest.mark.parametrize("command", ["k", "K"], ids=["of the server", "of both"])
def test_a_client_survives_key_updates(run: Run, certificate: str, command: str) -> None:
    async def main() -> None:
        async with connected_to_server(certificate, "-tls1_3") as (server, client):
            for number in range(3):
                await server.type(f"{command}\n")
                await server.type(f"{number}\n")
                assert (await client.received(2 * number + 2)).endswith(f"{number}\n".encode())
                client.transport.write(f"answer {number}\n".encode())
                await server.until(f"answer {number}")

    run(main)


@pytest.mark.parametrize("command", ["k", "K"], ids=["of the client", "of both"])
def test_a_server_survives_key_updates(run: Run, command: str) -> None:
    async def main() -> None:
        async with connected_to_client("-tls1_3") as (client, server):
            for number in range(3):
                await client.type(f"{command}\n")
                await client.until("KEYUPDATE")
                await client.type(f"{number}\n")
                assert (await server.received(2 * number + 2)).endswith(f"{number}\n".encode())
                server.transport.write(f"answer {number}\n".encode())
                await client.until(f"answer {number}")

    run(main)


def test_a_client_survives_renegotiation_while_it_writes(run: Run, certificate: str) -> None:
    async def main() -> None:
        async with connected_to_server(certificate, "-tls1_2") as (server, client):
            for number in range(3):
                await server.type("r\n")
                client.transport.write(f"line {number}\n".encode() * 1000)
                client.transport.write(f"end {number}\n".encode())
                await server.until(f"end {number}")
                await server.type(f"{number}\n")
                assert (await client.received(2 * number + 2)).endswith(f"{number}\n".encode())

    run(main)


class Interrupting(TLSProtocol):
    """Does something right after the peer has asked for a renegotiation, when no answer can be."""

    __slots__ = ("done", "in_time")

    def __init__(self, *args: Any, in_time: Callable[[TLSProtocol], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self.in_time = in_time
        self.done = 0

    def buffer_updated(self, nbytes: int) -> None:
        before = self.agreed
        super().buffer_updated(nbytes)
        if before and not self.done:
            self.done += 1
            self.in_time(self)


async def interrupted_renegotiation(
    certificate: str, in_time: Callable[[TLSProtocol], None]
) -> tuple[str, Recorder]:
    """What s_server had printed up to "early", and what the application was told."""
    loop = asyncio.get_running_loop()
    port = free_port()
    options = ["-accept", f"127.0.0.1:{port}", "-cert", certificate, "-tls1_2"]
    with openssl("s_server", *options) as server:
        await server.until("ACCEPT")
        client = Recorder()
        agreed = loop.create_future()
        tls = Interrupting(
            loop,
            client,
            certificates.client_context(),
            agreed,
            server_hostname="localhost",
            in_time=in_time,
        )
        await loop.create_connection(lambda: tls, "127.0.0.1", port)
        await agreed
        await server.type("r\n")
        printed = await server.until("early")
        client.transport.close()
        await client.lost
        return printed, client


ON_MINILOOP = pytest.mark.parametrize("loop_factory", [miniloop.new_event_loop], ids=["miniloop"])


@ON_MINILOOP
@pytest.mark.parametrize("paused", [False, True], ids=["reading", "paused"])
def test_what_is_written_during_a_renegotiation_waits_for_its_end(
    run: Run, certificate: str, paused: bool
) -> None:
    waiting = []

    def write(tls: TLSProtocol) -> None:
        if paused:
            tls.transport.pause_reading()
        tls.transport.write(b"early\n")
        tls.flush()
        waiting.append(tls.transport.get_write_buffer_size())

    async def main() -> None:
        _, client = await interrupted_renegotiation(certificate, write)
        assert client.lost.result() is None

    run(main)
    assert waiting == [6], "OpenSSL was to say that it must read first"


@ON_MINILOOP
def test_close_during_a_renegotiation_sends_what_was_written(run: Run, certificate: str) -> None:
    def write_and_close(tls: TLSProtocol) -> None:
        tls.transport.write(b"early\n")
        tls.transport.close()

    async def main() -> None:
        _, client = await interrupted_renegotiation(certificate, write_and_close)
        assert client.lost.result() is None

    run(main)


def test_a_server_answers_a_clean_end(run: Run) -> None:
    async def main() -> None:
        async with connected_to_client() as (client, server):
            await client.type("bye\n")
            await server.received(4)
            await client.type("Q\n")
            assert await server.lost is None
            assert server.calls == ["connection_made", "eof_received", "connection_lost"]

    run(main)


def test_a_client_that_is_killed_is_noticed(run: Run) -> None:
    async def main() -> None:
        async with connected_to_client() as (client, server):
            await client.type("hello\n")
            await server.received(6)
            client.end()
            await server.lost

    run(main)
