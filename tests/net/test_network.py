"""The joint for another network: everything above sockets runs on one that is in memory."""

from __future__ import annotations

import asyncio
import gc
import io
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import miniloop
from tests.net import certificates
from tests.net.memory_network import MemoryNetwork, MemorySocket, memory_loop

Main = Callable[[MemoryNetwork], Coroutine[Any, Any, None]]


@pytest.fixture(params=[False, True], ids=["", "debug"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Main], None]:
    """Runs it on a loop in memory, on which nobody asks the system for a socket or a name."""

    def run_in_memory(main: Main) -> None:
        network = MemoryNetwork()
        with asyncio.Runner(loop_factory=lambda: memory_loop(network)) as runner:
            runner.get_loop().set_debug(request.param)
            for name in ("socket", "getaddrinfo", "getnameinfo"):
                monkeypatch.setattr(socket, name, None)
            try:
                runner.run(main(network))
                runner.run(settle(network))
                assert network.sockets == {}, "left open"
            finally:
                monkeypatch.undo()
        gc.collect()

    return run_in_memory


async def settle(network: MemoryNetwork) -> None:
    """Let connections end: before CPython 3.12 a server that is closed does not wait for them."""
    for _ in range(100):
        if network.sockets:
            await asyncio.sleep(0)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(30_000):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.25}], ids=["", "eyeballs"])
def test_a_client_and_a_server_talk_in_memory(
    run: Callable[[Main], None], encrypted: bool, options: dict[str, Any]
) -> None:
    async def main(network: MemoryNetwork) -> None:
        theirs: Any = certificates.server_context() if encrypted else None
        ours: Any = certificates.client_context() if encrypted else None
        server = await asyncio.start_server(echo, "server.test", 443, ssl=theirs)
        reader, writer = await asyncio.open_connection(
            "server.test",
            443,
            ssl=ours,
            server_hostname="localhost" if encrypted else None,
            **options,
        )
        assert writer.get_extra_info("peername") == ("10.0.0.1", 443)
        sent = bytes(range(256)) * 2000
        writer.write(sent)  # more than fits into both directions
        assert await reader.readexactly(len(sent)) == sent
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
        assert network.asked == ["server.test"] * 2

    run(main)


def test_whoever_is_not_there_refuses_a_connection(run: Callable[[Main], None]) -> None:
    async def main(network: MemoryNetwork) -> None:
        with pytest.raises(ConnectionRefusedError, match=r"nobody is at \('10\.0\.0\.2', 80\)"):
            await asyncio.open_connection("nobody.test", 80, local_addr=("10.0.0.7", 0))
        with pytest.raises(socket.gaierror, match="unknown here"):
            await asyncio.open_connection("unheard.test", 80)
        with pytest.raises(OSError, match="in use"):
            await asyncio.start_server(echo, ["10.0.0.1", "10.0.0.2", "server.test"], 80)
        assert network.sockets == {}, "of those that could be bound"

    run(main)


def test_unix_sockets_with_abstract_names_are_in_memory(run: Callable[[Main], None]) -> None:
    async def main(network: MemoryNetwork) -> None:
        server = await asyncio.start_unix_server(echo, "\0here")
        reader, writer = await asyncio.open_unix_connection("\0here")
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main)


def test_datagrams_are_sent_in_memory(run: Callable[[Main], None]) -> None:
    class Answering(asyncio.DatagramProtocol):
        transport: Any

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data.upper(), addr)

    class Waiting(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            answer.set_result((data, addr))

    answer: asyncio.Future[Any]

    async def main(network: MemoryNetwork) -> None:
        nonlocal answer
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        theirs, _ = await loop.create_datagram_endpoint(Answering, ("server.test", 53))
        ours, _ = await loop.create_datagram_endpoint(Waiting, remote_addr=("server.test", 53))
        ours.sendto(b"who is there?")
        assert await answer == (b"WHO IS THERE?", ("10.0.0.1", 53))
        ours.close()
        theirs.close()
        await asyncio.sleep(0)

    run(main)


def test_bare_sockets_are_made_and_used_in_memory(run: Callable[[Main], None]) -> None:
    async def main(network: MemoryNetwork) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, miniloop.EventLoop)
        listener, client = (
            loop.make_socket(socket.AF_INET, socket.SOCK_STREAM) for _ in ("listener", "client")
        )
        assert isinstance(client, MemorySocket)
        listener.bind(("10.0.0.1", 80))
        listener.listen(1)
        accepted = asyncio.create_task(loop.sock_accept(listener))
        await loop.sock_connect(client, ("server.test", 80))
        server, address = await accepted
        assert address == client.getsockname()
        received = asyncio.create_task(loop.sock_recv(server, 10))
        await asyncio.sleep(0)
        await loop.sock_sendall(client, b"hello")
        assert await received == b"hello"
        assert await loop.sock_sendfile(client, io.BytesIO(b"a file")) == 6
        buffer = bytearray(10)
        assert await loop.sock_recv_into(server, buffer) == 6
        assert await loop.getnameinfo(("10.0.0.1", 80)) == ("server.test", "80")
        for sock in (listener, client, server):
            sock.close()

    run(main)


def test_a_real_file_is_sent_to_a_socket_in_memory(
    run: Callable[[Main], None], tmp_path: Any
) -> None:
    (tmp_path / "file").write_bytes(b"all of it" * 10_000)

    async def main(network: MemoryNetwork) -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(echo, "server.test", 80)
        reader, writer = await asyncio.open_connection("server.test", 80)
        with open(tmp_path / "file", "rb") as file:
            assert await loop.sendfile(writer.transport, file) == 90_000
        assert await reader.readexactly(90_000) == b"all of it" * 10_000
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main)


def test_a_subclass_may_make_the_sockets_as_well() -> None:
    made = []

    class Counting(miniloop.EventLoop):
        def make_socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
            sock = super().make_socket(family, kind, proto)
            made.append(sock.fileno())
            return sock

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        while asyncio.get_running_loop().transports:  # type: ignore[attr-defined]
            await asyncio.sleep(0)  # a server of 3.11 does not wait for its connections

    with asyncio.Runner(loop_factory=Counting) as runner:
        runner.run(main())
    assert len(made) == 2
