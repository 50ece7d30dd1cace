"""Going over to TLS on a connection that is open already, be it in the clear or not."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import miniloop
from miniloop.net.tls import start_tls as our_start_tls
from tests.net import certificates
from tests.net.blocking_peer import calling, listening, receive_exactly, tls_server
from tests.net.recording_protocol import BufferedRecorder, Recorder

Run = Callable[..., Any]

ON_MINILOOP = pytest.mark.parametrize("loop_factory", [miniloop.new_event_loop], ids=["miniloop"])


# From 3.13.12 and 3.14.3 on: https://github.com/python/cpython/issues/142352
NEW_ENOUGH = "_stream_reader" in inspect.getsource(asyncio.BaseEventLoop.start_tls)
BOTH_IF_NEW = ON_MINILOOP
if NEW_ENOUGH:
    BOTH_IF_NEW = pytest.mark.parametrize(
        "loop_factory",
        [miniloop.new_event_loop, asyncio.new_event_loop],
        ids=["miniloop", "asyncio"],
    )


async def loops_start_tls(loop: Any, *args: Any, **options: Any) -> Any:
    return await loop.start_tls(*args, **options)


# Our own also goes over the transports of any other loop.
STARTERS = pytest.mark.parametrize(
    "start_tls", [loops_start_tls, our_start_tls], ids=["loop.start_tls", "ours"]
)


@contextlib.asynccontextmanager
async def joined(
    client_factory: Callable[[], Any] = Recorder, server_factory: Callable[[], Any] = Recorder
) -> AsyncIterator[tuple[Any, Any]]:
    """Both ends of a connection in the clear, each a protocol with its `transport`."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    _, server = await loop.connect_accepted_socket(server_factory, here)
    _, client = await loop.create_connection(client_factory, sock=there)
    try:
        yield client, server
    finally:
        client.transport.abort()
        server.transport.abort()
        await asyncio.gather(client.lost, server.lost, return_exceptions=True)


async def upgrade(start_tls: Any, client: Recorder, server: Recorder) -> None:
    loop = asyncio.get_running_loop()
    client.transport, server.transport = await asyncio.gather(
        start_tls(
            loop,
            client.transport,
            client,
            certificates.client_context(),
            server_hostname="localhost",
        ),
        start_tls(loop, server.transport, server, certificates.server_context(), server_side=True),
    )


@STARTERS
@pytest.mark.parametrize("factory", [Recorder, lambda: BufferedRecorder(10)])
def test_data_go_in_the_clear_before_and_encrypted_after(
    run: Run, start_tls: Any, factory: Callable[[], Recorder]
) -> None:
    async def main() -> None:
        async with joined(factory, factory) as (client, server):
            client.transport.write(b"clear")
            assert await server.received(5) == b"clear"
            plain = client.transport
            await upgrade(start_tls, client, server)
            assert client.transport is not plain
            assert client.transport.get_protocol() is client
            assert client.transport.get_extra_info("sslcontext") is not None
            client.transport.write(b"secret" * 1000)
            assert await server.received(6005) == b"clear" + b"secret" * 1000
            server.transport.close()
            assert await client.lost is None
            assert await server.lost is None
            assert client.calls.count("connection_made") == 1

    run(main)


@STARTERS
def test_the_old_transport_may_be_paused(run: Run, start_tls: Any) -> None:
    async def main() -> None:
        async with joined() as (client, server):
            server.transport.pause_reading()
            client.transport.pause_reading()
            await upgrade(start_tls, client, server)
            client.transport.write(b"x")
            assert await server.received(1) == b"x"

    run(main)


@STARTERS
def test_tls_goes_through_tls(run: Run, start_tls: Any) -> None:
    data = bytes(range(256)) * 4000

    async def main() -> None:
        async with joined() as (client, server):
            for _ in range(3):
                await upgrade(start_tls, client, server)
            client.transport.write(data)
            server.transport.write(data[::-1])
            assert await server.received(len(data)) == data
            assert await client.received(len(data)) == data[::-1]
            client.transport.close()
            assert await client.lost is None
            assert await server.lost is None
            assert client.calls[-1] == "connection_lost"

    run(main)


@pytest.mark.parametrize("encrypted", [False, True], ids=["in the clear", "over TLS"])
@pytest.mark.parametrize("ask", [False, True], ids=["at once", "after asking"])
def test_a_stream_can_be_upgraded_as_soon_as_it_is_open(
    run: Run, encrypted: bool, ask: bool
) -> None:
    # What an HTTP client does at a proxy, that speaks TLS or not.
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if ask:
            assert await reader.readline() == b"CONNECT\n"
            writer.write(b"connected\n")
        await writer.start_tls(certificates.server_context())
        writer.write(b"you said " + await reader.readline())
        writer.close()

    async def call(address: tuple[str, int]) -> None:
        options: dict[str, Any] = {}
        if encrypted:
            options = {"ssl": certificates.client_context(), "server_hostname": "localhost"}
        reader, writer = await asyncio.open_connection(*address, **options)
        if ask:
            writer.write(b"CONNECT\n")
            assert await reader.readline() == b"connected\n"
        await writer.start_tls(certificates.client_context(), server_hostname="localhost")
        writer.write(b"hello\n")
        assert await reader.read() == b"you said hello\n"
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(
            serve, "127.0.0.1", 0, ssl=certificates.server_context() if encrypted else None
        )
        for _ in range(5):
            await call(server.sockets[0].getsockname())
        await asyncio.gather(*[call(server.sockets[0].getsockname()) for _ in range(5)])
        server.close()
        await server.wait_closed()

    run(main)


@BOTH_IF_NEW
@pytest.mark.parametrize("line", [b"", b"STARTTLS\n"])
def test_a_hello_that_a_reader_has_already_is_part_of_the_handshake(run: Run, line: bytes) -> None:
    heard = threading.Event()

    def call(sock: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certificates.client_context().wrap_bio(
            incoming, outgoing, server_hostname="localhost"
        )
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        sock.sendall(line + hello[:100])
        assert heard.wait(10)
        sock.sendall(hello[100:])
        finish(sock, tls, incoming, outgoing)

    def finish(sock: socket.socket, tls: Any, incoming: Any, outgoing: Any) -> None:
        answer = b""
        while not answer:
            incoming.write(sock.recv(65536))
            try:
                tls.do_handshake()
                answer = tls.read(100)
            except ssl.SSLWantReadError:
                pass
            sock.sendall(outgoing.read())
        assert answer == b"welcome"

    served: Any = None

    async def serve(reader: Any, writer: asyncio.StreamWriter) -> None:
        if line:
            assert await reader.readline() == line
        while len(reader._buffer) < 100:
            await asyncio.sleep(0)
        heard.set()
        await writer.start_tls(certificates.server_context())
        writer.write(b"welcome")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        served.set_result(None)

    async def main() -> None:
        nonlocal served
        served = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        with calling(server.sockets[0].getsockname, call):
            await served
        server.close()
        await server.wait_closed()

    run(main)


def test_a_stream_can_be_upgraded_on_both_sides(run: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await writer.drain()
        await writer.start_tls(certificates.server_context())
        writer.write(b"you said " + await reader.readline())
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            await writer.start_tls(certificates.client_context(), server_hostname="localhost")
            writer.write(b"hello\n")
            assert await reader.readline() == b"you said hello\n"
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(main)


@STARTERS
def test_a_certificate_that_is_refused_closes_the_connection(run: Run, start_tls: Any) -> None:
    def refused(sock: socket.socket) -> None:
        with pytest.raises(OSError, match=r"."):
            tls_server(certificates.server_context(), lambda tls: tls.recv(1))(sock)

    async def main(address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(Recorder, *address)
        context = certificates.client_context(authority=certificates.STRANGER)
        with pytest.raises(ssl.SSLCertVerificationError):
            await start_tls(loop, transport, client, context, server_hostname="localhost")
        assert transport.is_closing()
        assert isinstance(await client.lost, ssl.SSLCertVerificationError)

    with listening(refused) as address:
        run(main, address)


# asyncio does not tell a protocol that is connected already of an end in the handshake.
@ON_MINILOOP
@pytest.mark.parametrize("how", ["timeout", "cancel", "hang up"])
def test_a_handshake_that_does_not_come_about_closes_the_connection(run: Run, how: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with joined() as (client, server):
            starting = asyncio.create_task(
                loop.start_tls(
                    client.transport,
                    client,
                    certificates.client_context(),
                    server_hostname="localhost",
                    ssl_handshake_timeout=0.05 if how == "timeout" else None,
                )
            )
            await server.received(1)
            expected: Any = {
                "timeout": ConnectionAbortedError,
                "cancel": asyncio.CancelledError,
                "hang up": ConnectionResetError,
            }[how]
            if how == "cancel":
                starting.cancel()
            elif how == "hang up":
                server.transport.close()
            with pytest.raises(expected):
                await starting
            assert client.transport.is_closing()
            exc = await client.lost
            assert exc is None if how == "cancel" else isinstance(exc, expected)
            assert client.calls == ["connection_made", "connection_lost"]
            await server.lost

    run(main)


@STARTERS
def test_wrong_arguments_are_named(run: Run, start_tls: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with joined() as (client, _):
            with pytest.raises(TypeError, match=r"SSLContext, got None"):
                await start_tls(loop, client.transport, client, None)
            context = certificates.client_context()
            with pytest.raises(TypeError, match=r"is not supported by start_tls\(\)"):
                await start_tls(loop, object(), client, context)
            with pytest.raises(ValueError, match="positive number"):
                await start_tls(loop, client.transport, client, context, ssl_handshake_timeout=0)
            with pytest.raises(TypeError, match="'str'"):
                await start_tls(loop, client.transport, client, context, ssl_shutdown_timeout="1")
            with pytest.raises(ValueError, match="positive number"):
                await start_tls(loop, client.transport, client, context, ssl_shutdown_timeout=-1)
            # The connection is as it was.
            assert not client.transport.is_closing()
            assert client.transport.get_protocol() is client

    run(main)


def test_data_right_after_the_handshake_reach_the_protocol(run: Run) -> None:
    def serve(sock: socket.socket) -> None:
        assert receive_exactly(sock, 5) == b"start"
        with certificates.server_context().wrap_socket(sock, server_side=True) as tls:
            tls.sendall(b"first")
            assert tls.recv(10) == b""

    async def main(address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(Recorder, *address)
        transport.write(b"start")
        upgraded = await loop.start_tls(
            transport, client, certificates.client_context(), server_hostname="localhost"
        )
        assert await client.received(5) == b"first"
        upgraded.close()
        assert await client.lost is None

    with listening(serve) as address:
        run(main, address)


def test_a_protocol_may_go_over_to_tls_while_its_buffer_is_full(run: Run) -> None:
    # The application was told to pause; that there is room again is told to the protocol between.
    messages: list[bytes] = []
    is_full = threading.Event()  # until then nothing is read: it must not drain as fast as it fills

    def serve(sock: socket.socket) -> None:
        length = int(receive_exactly(sock, 20))
        assert is_full.wait(10)
        clear = receive_exactly(sock, length)
        assert not clear.strip(b"\0")
        with certificates.server_context().wrap_socket(sock, server_side=True) as tls:
            messages.append(receive_exactly(tls, 1_000_000))
            assert tls.recv(10) == b""

    async def main(address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(Recorder, *address)
        transport.write(b"%20d" % 20_000_000)
        transport.write(bytes(20_000_000))
        assert client.full
        is_full.set()
        upgraded = await loop.start_tls(
            transport, client, certificates.client_context(), server_hostname="localhost"
        )
        upgraded.write(b"x" * 1_000_000)
        upgraded.close()
        assert await client.lost is None

    with listening(serve) as address:
        run(main, address)
    assert messages == [b"x" * 1_000_000]


def test_what_was_written_is_sent_even_if_the_old_transport_is_closed(run: Run) -> None:
    # As Server.close_clients() does, which knows of no other.
    async def main() -> None:
        async with joined() as (client, server):
            plain = server.transport
            await upgrade(loops_start_tls, client, server)
            client.transport.pause_reading()
            server.transport.write(bytes(5_000_000))
            plain.close()
            assert plain.is_closing()
            client.transport.resume_reading()
            assert await client.received(5_000_000) == bytes(5_000_000)
            assert await client.lost is None
            assert await server.lost is None

    run(main)
