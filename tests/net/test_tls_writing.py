"""When what is written on a TLS connection leaves, and what becomes of it if that ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.net import certificates
from tests.net.blocking_peer import (
    PATIENCE,
    calling,
    listening,
    receive_exactly,
    reset,
    tls_server,
)
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]


async def connect(
    address: tuple[str, int], factory: Callable[[], Any] = Recorder
) -> tuple[Any, Any]:
    return await asyncio.get_running_loop().create_connection(
        factory, *address, server_hostname="localhost", ssl=certificates.client_context()
    )


class Listener:
    """A blocking peer that says when it has received so many bytes."""

    def __init__(self, count: int, hello: bytes = b"") -> None:
        self.received = threading.Event()
        self.shaken_hands = threading.Event()
        self._count = count
        self._hello = hello

    def __call__(self, sock: ssl.SSLSocket) -> None:
        self.shaken_hands.set()
        if self._hello:
            sock.sendall(self._hello)
        receive_exactly(sock, self._count)
        self.received.set()
        assert sock.recv(100) == b""

    def serving(self) -> Any:
        return listening(tls_server(certificates.server_context(), self))


@pytest.mark.parametrize("how", ["write", "writelines"])
def test_a_program_may_block_once_it_has_written(run: Run, how: str) -> None:
    peer = Listener(20)

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        if how == "write":
            transport.write(b"head, ")
            transport.write(bytearray(b"and then, body"))
        else:
            transport.writelines([b"head, ", bytearray(b"and then, body")])
        assert transport.get_write_buffer_size() == 0
        assert peer.received.wait(PATIENCE)
        transport.close()
        await protocol.lost

    with peer.serving() as address:
        run(main, address)


@pytest.mark.parametrize("method", ["connection_made", "data_received"])
def test_a_protocol_may_block_once_it_has_written(run: Run, method: str) -> None:
    peer = Listener(4, b"hello" if method == "data_received" else b"")

    class Blocking(Recorder):
        def _answer(self) -> None:
            self.transport.write(b"word")
            assert peer.received.wait(PATIENCE)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if method == "connection_made":
                self._answer()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._answer()

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address, Blocking)
        if method == "data_received":
            assert await protocol.received(5) == b"hello"
        transport.close()
        await protocol.lost

    with peer.serving() as address:
        run(main, address)


def test_a_program_may_block_once_it_is_connected(run: Run) -> None:
    peer = Listener(0)

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        assert peer.shaken_hands.wait(PATIENCE)
        transport.close()
        await protocol.lost

    with peer.serving() as address:
        run(main, address)


@pytest.mark.parametrize("end", ["abort", "close"])
def test_what_was_written_before_the_end_arrives(run: Run, end: str) -> None:
    received = []

    def read_all(sock: socket.socket) -> None:
        with certificates.client_context().wrap_socket(sock, server_hostname="localhost") as tls:
            while data := tls.recv(100):
                received.append(data)

    class Short(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.write(b"last words")
            getattr(self.transport, end)()
            self.transport.write(b"too late")
            served.set_result(self)

    served: Any = None

    async def main() -> None:
        nonlocal served
        loop = asyncio.get_running_loop()
        served = loop.create_future()
        server = await loop.create_server(Short, "127.0.0.1", 0, ssl=certificates.server_context())
        with calling(server.sockets[0].getsockname, read_all):
            protocol = await served
            await protocol.lost
        server.close()
        await server.wait_closed()

    run(main)
    assert b"".join(received) == b"last words"


def test_a_write_that_fails_is_one_lost_write_however_large(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    gone = threading.Event()

    def go(sock: socket.socket) -> None:
        with certificates.server_context().wrap_socket(sock, server_side=True) as tls:
            receive_exactly(tls, 1)
            reset(tls)
        gone.set()

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        transport.write(b"x")
        assert gone.wait(PATIENCE)
        for _ in range(3):
            transport.write(bytes(1_000_000))
        assert not caplog.records
        for _ in range(20):
            transport.write(b"x")
        assert 0 < len(caplog.records) <= 20
        assert isinstance(await protocol.lost, ConnectionError)

    with listening(go) as address:
        run(main, address)
