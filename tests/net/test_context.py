"""In which context (`contextvars`) a protocol is told what.

What asyncio's versions agree in is tested on both loops: the variables of whoever made the
connection are seen everywhere. From CPython 3.15 on asyncio tells a stream's protocol all of it in
one context; before, each callback had a copy, made wherever it was asked for. Ours is the new way
on every version, for every kind of transport.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

import miniloop
from tests.net.certificates import client_context, server_context
from tests.net.connected import unix_pair

Run = Callable[..., Any]

maker: ContextVar[str] = ContextVar("maker", default="nobody")
made: ContextVar[str] = ContextVar("made", default="nobody")
stranger: ContextVar[str] = ContextVar("stranger", default="nobody")


class Noting(asyncio.Protocol):
    """Notes, for each method, whose variables it sees."""

    transport: Any

    def __init__(self) -> None:
        self.seen: dict[str, tuple[str, str, str]] = {}
        self.lost = asyncio.get_running_loop().create_future()
        self.changed = asyncio.Event()

    def note(self, method: str) -> None:
        self.seen[method] = maker.get(), made.get(), stranger.get()
        self.changed.set()

    async def told(self, method: str) -> None:
        while method not in self.seen:
            self.changed.clear()
            await self.changed.wait()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        made.set("connection_made")
        self.note("connection_made")

    def data_received(self, data: bytes) -> None:
        self.note("data_received")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.note("data_received")

    def resume_writing(self) -> None:
        self.note("resume_writing")

    def eof_received(self) -> bool:
        self.note("eof_received")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("connection_lost")
        self.lost.set_result(exc)


async def as_stranger(action: Callable[[], object]) -> None:
    """Do it in a task that has variables of its own."""

    async def act() -> None:
        stranger.set("a task")
        action()

    await asyncio.create_task(act())


Make = Callable[[], Coroutine[Any, Any, tuple[Noting, socket.socket]]]


async def stream() -> tuple[Noting, socket.socket]:
    ours, peer = unix_pair()
    _, protocol = await asyncio.get_running_loop().create_unix_connection(Noting, sock=ours)
    return protocol, peer


async def accepted_elsewhere() -> tuple[Noting, socket.socket]:
    ours, peer = unix_pair()
    _, protocol = await asyncio.get_running_loop().connect_accepted_socket(Noting, ours)
    return protocol, peer


async def endpoint() -> tuple[Noting, socket.socket]:
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.setblocking(False)
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Noting, sock=ours)
    return protocol, peer


async def pipe() -> tuple[Noting, socket.socket]:
    ours, peer = unix_pair()
    file = os.fdopen(ours.detach(), "rb", buffering=0)
    _, protocol = await asyncio.get_running_loop().connect_read_pipe(Noting, file)
    return protocol, peer


@pytest.mark.parametrize("make", [stream, accepted_elsewhere, endpoint, pipe])
def test_the_variables_of_the_maker_are_seen_everywhere(run: Run, make: Make) -> None:
    async def main() -> dict[str, tuple[str, str, str]]:
        maker.set("main")
        protocol, peer = await make()
        with peer:
            peer.send(b"x")
            await protocol.told("data_received")
            protocol.transport.close()
            await protocol.lost
        return protocol.seen

    seen = run(main)
    assert {whose for whose, _, _ in seen.values()} == {"main"}
    assert {whose for _, _, whose in seen.values()} == {"nobody"}


@pytest.mark.parametrize("make", [stream, accepted_elsewhere, endpoint, pipe])
def test_a_protocol_has_one_context_whoever_acts(make: Make) -> None:
    async def main() -> dict[str, tuple[str, str, str]]:
        maker.set("main")
        protocol, peer = await make()
        transport = protocol.transport
        with peer:
            await as_stranger(transport.pause_reading)
            peer.send(b"x")
            await as_stranger(transport.resume_reading)
            await protocol.told("data_received")
            await as_stranger(transport.close)
            await protocol.lost
        return protocol.seen

    seen = miniloop.run(main())
    assert set(seen) == {"connection_made", "data_received", "connection_lost"}
    assert set(seen.values()) == {("main", "connection_made", "nobody")}


@pytest.mark.skipif(sys.version_info < (3, 15), reason="asyncio's way from 3.15 on")
def test_a_streams_protocol_has_one_context_on_asyncio_too(run: Run) -> None:
    async def main() -> dict[str, tuple[str, str, str]]:
        maker.set("main")
        protocol, peer = await stream()
        with peer:
            protocol.transport.pause_reading()
            peer.send(b"x")
            await as_stranger(protocol.transport.resume_reading)
            await protocol.told("data_received")
            await as_stranger(protocol.transport.close)
            await protocol.lost
        return protocol.seen

    assert set(run(main).values()) == {("main", "connection_made", "nobody")}


def test_room_to_write_is_told_in_the_connections_context() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocol, peer = await stream()
        with peer:
            await as_stranger(lambda: protocol.transport.write(bytes(1 << 20)))
            while "resume_writing" not in protocol.seen:
                await loop.sock_recv(peer, 1 << 20)
            assert protocol.seen["resume_writing"] == ("nobody", "connection_made", "nobody")
            protocol.transport.abort()
            await protocol.lost

    miniloop.run(main())


def test_the_end_is_told_in_the_connections_context_if_it_comes_from_the_peer() -> None:
    async def main() -> None:
        protocol, peer = await stream()
        with peer:
            peer.shutdown(socket.SHUT_WR)
            await protocol.told("eof_received")
            assert protocol.seen["eof_received"] == ("nobody", "connection_made", "nobody")
            protocol.transport.abort()
            await protocol.lost

    miniloop.run(main())


@pytest.mark.parametrize("tls", [False, True])
def test_each_connection_of_a_server_has_a_context_of_its_own(tls: bool) -> None:
    async def main() -> list[Noting]:
        loop = asyncio.get_running_loop()
        protocols: list[Noting] = []
        maker.set("main")

        def factory() -> Noting:
            assert made.get() == "nobody"
            protocols.append(Noting())
            return protocols[-1]

        server = await loop.create_server(
            factory, "127.0.0.1", 0, ssl=server_context() if tls else None
        )
        maker.set("later")
        host, port = server.sockets[0].getsockname()
        for _ in range(2):
            _, writer = await asyncio.open_connection(
                host,
                port,
                ssl=client_context() if tls else None,
                server_hostname="localhost" if tls else None,
            )
            writer.write(b"x")
            while len(protocols) < 1 or "data_received" not in protocols[-1].seen:
                await asyncio.sleep(0.001)
            await as_stranger(protocols[-1].transport.close)
            await protocols[-1].lost
            writer.close()
            await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return protocols

    for protocol in miniloop.run(main()):
        assert set(protocol.seen.values()) == {("main", "connection_made", "nobody")}


@pytest.mark.parametrize("make", ["create_server", "create_unix_server"])
def test_connections_see_the_variables_of_the_one_who_starts_a_server_until_3_15(
    run: Run, make: str, tmp_path: Any
) -> None:
    """From then on they see those of the one who made it."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        protocols: list[Noting] = []

        def factory() -> Noting:
            protocols.append(Noting())
            return protocols[-1]

        maker.set("made it")
        if make == "create_server":
            server = await loop.create_server(factory, "127.0.0.1", 0, start_serving=False)
        else:
            server = await loop.create_unix_server(factory, tmp_path / "s", start_serving=False)
        maker.set("started it")
        await server.start_serving()
        sock = server.sockets[0]
        with socket.socket(sock.family) as client:
            client.setblocking(False)
            await loop.sock_connect(client, sock.getsockname())
            while not protocols:
                await asyncio.sleep(0.001)
            await protocols[0].told("connection_made")
            protocols[0].transport.close()
            await protocols[0].lost
        server.close()
        await server.wait_closed()
        return protocols[0].seen["connection_made"][0]

    assert run(main) == ("made it" if sys.version_info >= (3, 15) else "started it")


def test_a_childs_protocol_has_one_context_whoever_acts() -> None:
    class Child(Noting, asyncio.SubprocessProtocol):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            self.note("pipe_data_received")

        def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
            self.note("pipe_connection_lost")

        def process_exited(self) -> None:
            self.note("process_exited")

    async def main() -> dict[str, tuple[str, str, str]]:
        maker.set("main")
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(Child, "cat", stderr=None)
        await as_stranger(lambda: transport.get_pipe_transport(0).write(b"x"))
        await protocol.told("pipe_data_received")
        await as_stranger(transport.close)
        await protocol.lost
        return protocol.seen

    seen = miniloop.run(main())
    assert len(seen) == 5
    assert set(seen.values()) == {("main", "connection_made", "nobody")}
