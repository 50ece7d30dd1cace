"""From a connected socket to a transport, in the clear or with TLS: what clients and servers share.

Also: which of the `ssl...` arguments of a call go together. What each one means is in
tls_settings.py.

Source: the CPython documentation, `loop.create_connection`, `loop.create_server`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, NamedTuple

from miniloop.kernel.contract import CompleteLoop
from miniloop.net.socket_kind import is_tcp
from miniloop.net.stream import StreamTransport

# Imported here, at once: a process at its limit of descriptors can accept, but cannot import.
_tls: Any
try:
    from miniloop.net import tls as _tls
except ImportError:
    _tls = None  # an interpreter that was built without the ssl module can do all the rest

__all__ = ["TLSOptions", "attach", "client_tls", "server_tls", "start_tls"]


class TLSOptions(NamedTuple):
    """How to speak TLS on a connection. Timeouts are in seconds, None for the defaults."""

    context: Any
    server_side: bool
    server_hostname: str | None = None
    handshake_timeout: float | None = None
    shutdown_timeout: float | None = None


def client_tls(
    context: Any,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
    *,
    if_unnamed: str | None,
    missing: str,
) -> TLSOptions | None:
    """Check the `ssl...` arguments of a client's call; None if it is to be in the clear.

    The certificate must be for `server_hostname`, or if that is None for `if_unnamed`, the host of
    the call. The empty name switches the check off.

    Raises ValueError for a name or timeouts without TLS, and (saying `missing`) for TLS without any
    name; RuntimeError if this interpreter cannot do TLS.
    """
    if server_hostname is not None and not context:
        raise ValueError("server_hostname is only meaningful with ssl")
    if server_hostname is None and context:
        if not if_unnamed:
            raise ValueError(missing)
        server_hostname = if_unnamed
    return _options(context, False, server_hostname, handshake_timeout, shutdown_timeout)


def server_tls(
    context: Any, handshake_timeout: float | None, shutdown_timeout: float | None
) -> TLSOptions | None:
    """Check the `ssl...` arguments of a server's call; None if it is to be in the clear.

    Raises ValueError for timeouts without TLS, RuntimeError if this interpreter cannot do TLS.
    """
    return _options(context, True, None, handshake_timeout, shutdown_timeout)


def _options(
    context: Any,
    server_side: bool,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> TLSOptions | None:
    if not context:
        if handshake_timeout is not None:
            raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
        if shutdown_timeout is not None:
            raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
        return None
    _tls_module()
    return TLSOptions(context, server_side, server_hostname, handshake_timeout, shutdown_timeout)


def _tls_module() -> Any:
    """`miniloop.net.tls`. Raises RuntimeError if this interpreter has no ssl module."""
    if _tls is None:
        raise RuntimeError("Python ssl module is not available")
    return _tls


def attach(
    loop: CompleteLoop,
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    tls: TLSOptions | None,
    *,
    waiter: Any = None,
    extra: dict[str, Any] | None = None,
    server: Any = None,
) -> asyncio.Transport:
    """Put a transport on a connected non-blocking socket. `waiter` is finished when it is open."""
    if is_tcp(sock):
        # Without this a small write waits for the acknowledgement of the one before (RFC 896).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return StreamTransport(loop, sock, protocol, waiter, extra, server)
    between = _tls_module().TLSProtocol(
        loop,
        protocol,
        tls.context,
        waiter,
        server_side=tls.server_side,
        server_hostname=tls.server_hostname,
        handshake_timeout=tls.handshake_timeout,
        shutdown_timeout=tls.shutdown_timeout,
    )
    transport: asyncio.Transport = between.transport
    # The waiter gets an error of the handshake, so it is not reported to the handler too.
    told = None
    if waiter is not None:
        told = loop.create_future()
        told.add_done_callback(lambda future: future.exception())
    StreamTransport(loop, sock, between, told, extra, server)
    return transport


async def start_tls(
    loop: CompleteLoop,
    transport: Any,
    protocol: asyncio.BaseProtocol,
    sslcontext: Any,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> asyncio.Transport:
    """Switch an open connection to TLS: see `miniloop.net.tls.start_tls`."""
    upgraded: asyncio.Transport = await _tls_module().start_tls(
        loop,
        transport,
        protocol,
        sslcontext,
        server_side=server_side,
        server_hostname=server_hostname,
        ssl_handshake_timeout=ssl_handshake_timeout,
        ssl_shutdown_timeout=ssl_shutdown_timeout,
    )
    return upgraded
