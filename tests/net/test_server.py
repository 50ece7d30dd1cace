"""Servers: what they say of themselves, and the several ways to end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net.serving import connect_to, end, listen

Run = Callable[..., Any]


def test_a_server_knows_its_sockets_and_its_loop(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen()
        assert server.get_loop() is asyncio.get_running_loop()
        (sock,) = server.sockets
        assert sock.getsockname()[0] == "127.0.0.1"
        assert not hasattr(sock, "accept"), "a view of the socket, not the socket itself"
        assert "<Server sockets=" in repr(server)
        server.close()
        assert server.sockets == ()
        await server.wait_closed()

    run(main)


def test_a_server_can_start_later(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen(start_serving=False)
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await connect_to(server)
        await server.start_serving()
        await server.start_serving()
        assert server.is_serving()
        _, protocol = await connect_to(server)
        protocols = await accepted.count(1)
        await end(server, protocol, *protocols)
        assert not server.is_serving()

    run(main)


def test_a_closed_server_cannot_be_started() -> None:
    # Ours alone: asyncio raises a TypeError about None.
    async def main() -> None:
        server, _ = await listen()
        server.close()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.start_serving()

    miniloop.run(main())


def test_serving_forever_ends_when_it_is_cancelled_and_closes_the_server(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen(start_serving=False)
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert server.is_serving()
        with pytest.raises(RuntimeError, match="is already being awaited on serve_forever"):
            await server.serve_forever()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not server.is_serving()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.serve_forever()

    run(main)


def test_serving_forever_ends_although_a_client_stays() -> None:
    """asyncio: in newer releases of 3.13 and later; on 3.12 it waits for the client for ever."""

    async def main() -> None:
        server, accepted = await listen()
        serving = asyncio.ensure_future(server.serve_forever())
        _, client = await connect_to(server)
        (protocol,) = await accepted.count(1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        if sys.version_info >= (3, 12):
            assert await client.lost is None
            assert await protocol.lost is None
        else:  # where a closed server is not waited for
            assert not client.lost.done()
        await end(server, *(one for one in (client, protocol) if not one.lost.done()))

    miniloop.run(main())


def test_serving_forever_ends_when_the_server_is_closed(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen()
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await serving

    run(main)


def test_a_server_is_closed_by_its_with_block(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen()
        async with server as entered:
            assert entered is server
            assert server.is_serving()
        assert not server.is_serving()
        server.close()
        await server.wait_closed()

    run(main)


# Waiting for the end.


def test_waiting_for_a_closed_server_waits_for_its_connections_from_3_12_on(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen()
        _, client = await connect_to(server)
        (protocol,) = await accepted.count(1)
        server.close()
        waiting = asyncio.ensure_future(server.wait_closed())
        for _ in range(5):
            await asyncio.sleep(0)
        assert waiting.done() == (sys.version_info < (3, 12))
        client.transport.close()
        await client.lost
        await protocol.lost
        await waiting

    run(main)


def test_several_may_wait_for_the_end(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen()
        waiting = [asyncio.ensure_future(server.wait_closed()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        waiting[0].cancel()
        await asyncio.sleep(0)
        server.close()
        await asyncio.gather(*waiting[1:])
        await server.wait_closed()

    run(main)


def test_connections_survive_the_end_of_the_server(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen()
        _, client = await connect_to(server)
        (protocol,) = await accepted.count(1)
        server.close()
        client.transport.write(b"still there")
        assert await protocol.received(11) == b"still there"
        await end(server, client, protocol)

    run(main)


@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_all_connections_of_a_server_can_be_ended(method: str) -> None:
    # Since CPython 3.13; ours everywhere.
    async def main() -> None:
        server, accepted = await listen()
        clients = [await connect_to(server) for _ in range(3)]
        protocols = await accepted.count(3)
        large = bytes(20_000_000)
        for protocol in protocols:
            protocol.transport.write(large)
        server.close()
        getattr(server, method)()
        for protocol in protocols:
            assert protocol.transport.is_closing()
        for _, client in clients:
            await client.lost
            if method == "close_clients":
                assert len(client.data) == len(large)
            else:
                assert len(client.data) < len(large)
        await server.wait_closed()

    miniloop.run(main())


def test_a_connection_that_was_dropped_unclosed_does_not_hold_up_the_end() -> None:
    async def main() -> None:
        server, accepted = await listen()
        _, client = await connect_to(server)
        (protocol,) = await accepted.count(1)
        protocol.transport.abort()
        await protocol.lost
        client.transport.abort()
        await client.lost
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)

    miniloop.run(main())
