"""websockets: its asyncio client and server, each against its blocking counterpart."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.sync import client as blocking_client
from websockets.sync import server as blocking_server

Run = Callable[..., Any]
BIG = "loop " * 200_000


@contextmanager
def blocking_echo(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A threaded server that echoes, and leaves when it is told to."""

    def echo(connection: blocking_server.ServerConnection) -> None:
        for message in connection:
            if message == "leave":
                return connection.close(1001, "as told")
            connection.send(message)
        return None

    with blocking_server.serve(echo, "127.0.0.1", 0, ssl=tls, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def test_client_echoes_small_and_large_messages(run: Run) -> None:
    async def main(port: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}", max_size=None) as peer:
            for message in ("hello", b"\x00\xff", BIG):
                await peer.send(message)
                assert await peer.recv() == message
            waiter = await peer.ping()
            assert await waiter >= 0

    with blocking_echo() as port:
        run(main, port)


def test_client_speaks_over_tls(
    run: Run, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def main(port: int) -> None:
        address = f"wss://localhost:{port}"
        async with connect(address, ssl=client_tls, max_size=None) as peer:
            await peer.send(BIG)
            assert await peer.recv() == BIG

    with blocking_echo(server_tls) as port:
        run(main, port)


def test_client_learns_why_the_server_left(run: Run) -> None:
    async def main(port: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}") as peer:
            await peer.send("leave")
            with pytest.raises(ConnectionClosedOK) as caught:
                await peer.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "as told")

    with blocking_echo() as port:
        run(main, port)


def test_server_serves_twenty_blocking_clients(run: Run) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    def talk(port: int, number: int) -> list[str | bytes]:
        with blocking_client.connect(f"ws://127.0.0.1:{port}") as peer:
            heard = []
            for word in range(10):
                peer.send(f"{number}.{word}")
                heard.append(peer.recv())
            return heard

    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            heard = await asyncio.gather(
                *(asyncio.to_thread(talk, port, number) for number in range(20))
            )
        assert heard == [[f"{number}.{word}" for word in range(10)] for number in range(20)]

    run(main)


def test_server_reports_a_failing_handler_as_1011(run: Run) -> None:
    async def fail(connection: ServerConnection) -> None:
        raise RuntimeError("the handler fails on purpose")

    async def main() -> int:
        async with serve(fail, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}") as peer:
                with pytest.raises(ConnectionClosedError) as caught:
                    await peer.recv()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code

    assert run(main) == 1011
