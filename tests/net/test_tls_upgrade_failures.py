"""Going over to TLS on a connection that has ended, or ends meanwhile: nobody waits for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import miniloop
from tests.net import certificates
from tests.net.blocking_peer import PATIENCE, reset
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]

ON_MINILOOP = pytest.mark.parametrize("loop_factory", [miniloop.new_event_loop], ids=["miniloop"])


class HalfOpen(Recorder):
    """Goes on after the peer's end, as a StreamReader's protocol does."""

    def eof_received(self) -> bool:
        super().eof_received()
        return True


@contextlib.asynccontextmanager
async def with_peer(factory: Callable[[], Any]) -> AsyncIterator[tuple[Any, socket.socket]]:
    """A protocol with its `transport`, and the bare socket at the other end."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        _, protocol = await loop.create_connection(factory, *listener.getsockname())
        peer, _ = listener.accept()
    with peer:
        yield protocol, peer
        protocol.transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)  # for connection_lost, of which asyncio does not always tell


async def start_tls(transport: Any, protocol: Any, **options: Any) -> Any:
    # Well before the handshake's own timeout, which is a minute.
    async with asyncio.timeout(PATIENCE):
        return await asyncio.get_running_loop().start_tls(
            transport,
            protocol,
            certificates.client_context(),
            server_hostname="localhost",
            **options,
        )


@pytest.mark.parametrize("paused", [False, True])
def test_an_end_that_was_read_before_is_a_reset(run: Run, paused: bool) -> None:
    async def main() -> None:
        async with with_peer(HalfOpen) as (protocol, peer):
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            if paused:
                protocol.transport.pause_reading()
            with pytest.raises(ConnectionResetError):
                await start_tls(protocol.transport, protocol)
            assert protocol.transport.is_closing()
            assert isinstance(await protocol.lost, ConnectionResetError)
            assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]

    run(main)


@pytest.mark.parametrize("how", ["shutdown", "reset"])
def test_an_end_that_was_not_read_yet_is_a_reset(run: Run, how: str) -> None:
    async def main() -> None:
        async with with_peer(HalfOpen) as (protocol, peer):
            if how == "reset":
                reset(peer)
            else:
                peer.shutdown(socket.SHUT_WR)
            with pytest.raises(ConnectionResetError):
                await start_tls(protocol.transport, protocol)
            assert protocol.transport.is_closing()

    run(main)


def test_a_reset_that_came_during_a_pause_is_a_reset(run: Run) -> None:
    async def main() -> None:
        async with with_peer(Recorder) as (protocol, peer):
            protocol.transport.pause_reading()
            reset(peer)
            with pytest.raises(ConnectionResetError):
                await start_tls(protocol.transport, protocol)

    run(main)


# asyncio waits for the handshake's timeout, and if the connection is lost already, for ever.
@ON_MINILOOP
@pytest.mark.parametrize("how", ["close", "close when sent", "abort", "lost", "peer's end"])
def test_a_connection_that_closes_or_is_closed_is_refused(run: Run, how: str) -> None:
    async def main() -> None:
        async with with_peer(Recorder) as (protocol, peer):
            transport = protocol.transport
            if how == "peer's end":
                peer.shutdown(socket.SHUT_WR)
                await protocol.eof
            elif how == "close when sent":
                transport.write(bytes(50_000_000))
                transport.close()
            elif how == "close":
                transport.close()
            else:
                transport.abort()
                if how == "lost":
                    await protocol.lost
            with pytest.raises(ConnectionResetError, match="closing or closed"):
                await start_tls(transport, protocol)
            if how == "close when sent":
                assert not protocol.lost.done(), "it was to be sent still"
            else:
                assert await protocol.lost is None

    run(main)


@ON_MINILOOP  # asyncio waits for the handshake's timeout
def test_a_connection_that_cannot_be_written_to_is_refused(run: Run) -> None:
    async def main() -> None:
        async with with_peer(Recorder) as (protocol, _):
            protocol.transport.write_eof()
            with pytest.raises(RuntimeError, match=r"write\(\) after write_eof\(\)"):
                await start_tls(protocol.transport, protocol)
            assert protocol.transport.is_closing()
            assert await protocol.lost is None

    run(main)


def test_a_stream_whose_end_was_read_is_not_upgraded(run: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b""
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ConnectionResetError):
                await writer.start_tls(certificates.client_context(), server_hostname="localhost")
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main)


@ON_MINILOOP  # asyncio goes on as after a success, without a transport
@pytest.mark.parametrize("how", ["close", "abort"])
def test_closing_the_old_transport_during_the_handshake_ends_it(run: Run, how: str) -> None:
    async def main() -> None:
        async with with_peer(Recorder) as (protocol, peer):
            loop = asyncio.get_running_loop()
            starting = asyncio.create_task(start_tls(protocol.transport, protocol))
            peer.setblocking(False)
            await loop.sock_recv(peer, 1)  # the beginning of the handshake
            getattr(protocol.transport, how)()
            with pytest.raises(ConnectionAbortedError):
                await starting
            assert await protocol.lost is None

    run(main)


@ON_MINILOOP  # asyncio waits for ever
def test_tls_that_the_peer_has_ended_is_not_upgraded_again(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        (_, server), (_, client) = await asyncio.gather(
            loop.connect_accepted_socket(Recorder, here, ssl=certificates.server_context()),
            loop.create_connection(
                Recorder, sock=there, ssl=certificates.client_context(), server_hostname="localhost"
            ),
        )
        server.transport.close()
        await client.eof
        with pytest.raises(ConnectionResetError, match="closing or closed"):
            await start_tls(client.transport, client)
        assert await client.lost is None
        assert await server.lost is None

    run(main)
