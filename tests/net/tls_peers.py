"""How to connect over TLS to a blocking peer, and what such a peer does, for tests of the end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from tests.net import certificates
from tests.net.blocking_peer import listening, tls_server
from tests.net.recording_protocol import Recorder


async def connect(
    address: tuple[()] | tuple[str, int], factory: Callable[[], Any] = Recorder, **options: Any
) -> tuple[Any, Any]:
    options.setdefault("ssl", certificates.client_context())
    return await asyncio.get_running_loop().create_connection(
        factory, *address, server_hostname="localhost", **options
    )


def serving(program: Callable[[ssl.SSLSocket], object]) -> Any:
    return listening(tls_server(certificates.server_context(), program))


def read_to_the_end(sock: ssl.SSLSocket) -> bytes:
    """All data up to a close_notify; without one, ssl.SSLEOFError."""
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def caught_errors() -> list[dict[str, Any]]:
    """The contexts that reach the exception handler of the running loop from now on."""
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    return contexts


def corrupting(sock: socket.socket) -> None:
    """Send a good record and a bad one, in one piece."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certificates.server_context().wrap_bio(incoming, outgoing, server_side=True)
    while tls.version() is None or not tls.cipher():
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(10_000))
    tls.write(b"good")
    good = outgoing.read()
    tls.write(b"bad")
    bad = bytearray(outgoing.read())
    bad[-1] ^= 1
    sock.sendall(good + bad)
    while sock.recv(10_000):
        pass
