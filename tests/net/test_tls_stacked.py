"""asyncio's own TLS on a transport of ours, as some libraries put it there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from asyncio import sslproto
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.conftest import LOOPS
from tests.net import certificates
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]

# asyncio's transport over TLS takes a reason from CPython 3.12.2 on:
# https://github.com/python/cpython/issues/113214
WHERE_IT_WORKS = pytest.mark.parametrize(
    ("encrypted", "loop_factory"),
    [
        pytest.param(encrypted, factory, id=f"{name}-{'over TLS' if encrypted else 'in the clear'}")
        for encrypted in (False, True)
        for name, factory in LOOPS.items()
        if name != "asyncio" or not encrypted or sys.version_info >= (3, 12, 2)
    ],
)


async def join(encrypted: bool) -> tuple[Recorder, Recorder]:
    """A server and a client, each a protocol with its `transport`."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    ours: dict[str, Any] = {"ssl": certificates.server_context()} if encrypted else {}
    theirs: dict[str, Any] = {}
    if encrypted:
        theirs = {"ssl": certificates.client_context(), "server_hostname": "localhost"}
    (_, server), (_, client) = await asyncio.gather(
        loop.connect_accepted_socket(Recorder, here, **ours),
        loop.create_connection(Recorder, sock=there, **theirs),
    )
    return server, client


def stack(transport: Any, application: Any, context: ssl.SSLContext, **options: Any) -> Any:
    """Put asyncio's SSLProtocol between. Returns the future that tells of the handshake."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()
    # Typed as private, which it is not for those who do this.
    protocol: Any = sslproto.SSLProtocol(loop, application, context, waiter, **options)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    return waiter


@contextlib.asynccontextmanager
async def stacked(encrypted: bool) -> AsyncIterator[tuple[Recorder, Recorder]]:
    """The same with asyncio's TLS on both sides, and new protocols on that."""
    below = await join(encrypted)
    server, client = Recorder(), Recorder()
    try:
        await asyncio.gather(
            stack(below[0].transport, server, certificates.server_context(), server_side=True),
            stack(
                below[1].transport,
                client,
                certificates.client_context(),
                server_hostname="localhost",
            ),
        )
        yield server, client
    finally:
        for end in below:
            end.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.mark.parametrize("encrypted", [False, True], ids=["in the clear", "over TLS"])
@pytest.mark.parametrize("end", ["close", "abort"])
def test_asyncios_tls_works_on_our_transports(run: Run, encrypted: bool, end: str) -> None:
    data = bytes(range(256)) * 4000

    async def main() -> None:
        async with stacked(encrypted) as (server, client):
            client.transport.write(data)
            server.transport.write(data[::-1])
            assert await server.received(len(data)) == data
            assert await client.received(len(data)) == data[::-1]
            getattr(client.transport, end)()
            assert await client.lost is None
            assert await server.lost is None

    run(main)


@WHERE_IT_WORKS
def test_a_transport_may_be_given_a_reason_when_it_is_closed(run: Run, encrypted: bool) -> None:
    async def main() -> None:
        server, client = await join(encrypted)
        reason = RuntimeError("enough")
        client.transport.write(bytes(50_000_000))
        client.transport._force_close(reason)
        client.transport._force_close(OSError("once is enough"))
        assert client.transport.is_closing()
        assert client.transport.get_write_buffer_size() == 0
        assert await client.lost is reason
        await server.lost

    run(main)


@WHERE_IT_WORKS
def test_asyncios_tls_may_fail_on_our_transports(run: Run, encrypted: bool) -> None:
    async def main() -> None:
        server, client = await join(encrypted)
        waiter = stack(
            server.transport, Recorder(), certificates.server_context(), server_side=True
        )
        client.transport.write(b"this is no hello, but long enough for one" * 10)
        with pytest.raises(ssl.SSLError):
            await waiter
        await client.lost
        assert server.transport.is_closing()

    run(main)


def test_the_context_is_found_where_asyncio_has_it(run: Run) -> None:
    async def main() -> None:
        server, client = await join(True)
        for end in (server, client):
            protocol = end.transport._ssl_protocol
            assert protocol._sslcontext is end.transport.get_extra_info("sslcontext")
            end.transport.abort()
            await end.lost

    run(main)
