"""Connections: from a name to a transport.

`create_connection` resolves a name, tries the addresses one after the other (or staggered, "Happy
Eyeballs", RFC 8305, so that an address that swallows packets does not hold up the others), and
puts a transport and a protocol on the socket that connected first. `attach` is that last step, and
servers use it as well.

Source: the CPython documentation, "Opening network connections"; RFC 8305.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from miniloop.kernel.contract import CompleteLoop
from miniloop.net import happy_eyeballs, resolver
from miniloop.net.ownership import discard, refuse_owned
from miniloop.net.socket_kind import is_tcp, refuse_ssl_socket
from miniloop.net.stream import StreamTransport

# Here and not where it is used: with no descriptor to spare, a process can accept, but not import.
_tls: Any
try:
    from miniloop.net import tls as _tls
except ImportError:
    _tls = None  # an interpreter that was built without the ssl module can do all the rest

__all__ = [
    "TLSOptions",
    "attach",
    "connect_accepted_socket",
    "create_connection",
    "create_unix_connection",
    "set_reuse_port",
]

P = TypeVar("P", bound=asyncio.BaseProtocol)


class TLSOptions(NamedTuple):
    """How to speak TLS on a connection. Timeouts are in seconds, None for the defaults."""

    context: Any
    server_side: bool
    server_hostname: str | None = None
    handshake_timeout: float | None = None
    shutdown_timeout: float | None = None


def tls_options(
    context: Any,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
    *,
    server_side: bool,
    server_hostname: str | None = None,
) -> TLSOptions | None:
    """Check the `ssl...` arguments of a call; None if the connection is to be in the clear.

    Raises ValueError for timeouts without TLS, RuntimeError if this interpreter cannot do it.
    """
    if not context:
        if handshake_timeout is not None:
            raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
        if shutdown_timeout is not None:
            raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
        return None
    tls_module()
    return TLSOptions(context, server_side, server_hostname, handshake_timeout, shutdown_timeout)


def tls_module() -> Any:
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
    between = tls_module().TLSProtocol(
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
    # Whoever waits for the handshake is told of what fails below; the loop's handler need not be.
    told = None
    if waiter is not None:
        told = loop.create_future()
        told.add_done_callback(lambda future: future.exception())
    StreamTransport(loop, sock, between, told, extra, server)
    return transport


async def _open(
    loop: CompleteLoop,
    sock: socket.socket,
    protocol_factory: Callable[[], P],
    tls: TLSOptions | None,
) -> tuple[asyncio.Transport, P]:
    """Attach to a socket, and wait until the connection is open.

    Raises RuntimeError if the socket belongs to another transport.
    """
    refuse_owned(loop, sock.fileno(), sock)  # before it is ours to close
    waiter = loop.create_future()
    try:
        sock.setblocking(False)
        protocol = protocol_factory()
        transport = attach(loop, sock, protocol, tls, waiter=waiter)
    except BaseException:
        discard(sock)
        raise
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    finally:
        del waiter  # it holds the exception, whose traceback holds this frame
    return transport, protocol


async def create_connection(
    loop: CompleteLoop,
    protocol_factory: Callable[[], P],
    host: Any,
    port: Any,
    *,
    tls: TLSOptions | None,
    family: int,
    proto: int,
    flags: int,
    sock: socket.socket | None,
    local_addr: tuple[str, int] | None,
    happy_eyeballs_delay: float | None,
    interleave: int | None,
    all_errors: bool,
) -> tuple[asyncio.Transport, P]:
    """Connect to `(host, port)`, or take over the connected socket `sock`.

    Raises OSError if no address could be connected to: the one error there was, or one that names
    them all; with `all_errors`, an ExceptionGroup of them.
    """
    if sock is not None:
        refuse_ssl_socket(sock)
    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        where = partial(resolver.resolve, loop, family=family, proto=proto, flags=flags)
        remote = await where((host, port))
        local = None if local_addr is None else await where(local_addr)
        if not remote or local == []:
            raise OSError("getaddrinfo() returned empty list")
        if happy_eyeballs_delay is not None and interleave is None:
            interleave = 1
        if interleave:
            remote = happy_eyeballs.interleave(remote, interleave)
        sock = await _connect_any(loop, remote, local, happy_eyeballs_delay, all_errors)
    elif sock is None:
        raise ValueError("host and port was not specified and no sock specified")
    elif sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    return await _open(loop, sock, protocol_factory, tls)


async def _connect_any(
    loop: CompleteLoop,
    remote: list[resolver.AddressInfo],
    local: list[resolver.AddressInfo] | None,
    delay: float | None,
    all_errors: bool,
) -> socket.socket:
    """The first socket that connects to one of the addresses."""
    errors: list[OSError] = []
    attempts = [partial(_connect_one, loop, info, local, errors) for info in remote]
    sock: socket.socket | None = None
    if delay is None:
        for attempt in attempts:
            try:
                sock = await attempt()
                break
            except OSError:
                continue  # `errors` has it
    else:
        sock = await happy_eyeballs.race(loop, attempts, delay)
    try:
        if sock is None:
            raise _one_error(errors, all_errors)
        return sock
    finally:
        errors.clear()  # each holds the frames that hold this list


def _one_error(errors: list[OSError], all_errors: bool) -> Exception:
    if all_errors:
        return ExceptionGroup("create_connection failed", errors)
    texts = [str(error) for error in errors]
    if len(set(texts)) == 1:
        return errors[0]
    return OSError(f"Multiple exceptions: {', '.join(texts)}")


async def _connect_one(
    loop: CompleteLoop,
    info: resolver.AddressInfo,
    local: list[resolver.AddressInfo] | None,
    errors: list[OSError],
) -> socket.socket:
    """A socket connected to one address; its failure is noted in `errors` too."""
    family, kind, proto, _, address = info
    try:
        sock = loop.make_socket(family, kind, proto)
        try:
            sock.setblocking(False)
            if local is not None:
                _bind_local(sock, family, local, errors)
            await loop.sock_connect(sock, address)
        except BaseException:
            discard(sock)
            raise
    except OSError as exc:
        errors.append(exc)
        raise
    return sock


def _bind_local(
    sock: socket.socket,
    family: int,
    local: list[resolver.AddressInfo],
    errors: list[OSError],
) -> None:
    """Bind to the first local address that can be bound; those that cannot go to `errors`."""
    failure: OSError | None = None  # the last one, which is raised if there is no success
    for local_family, _, _, _, address in local:
        if local_family != family:
            continue
        if failure is not None:
            errors.append(failure)
        try:
            sock.bind(address)
        except OSError as exc:
            failure = OSError(
                exc.errno, f"error while attempting to bind on address {address!r}: {exc}".lower()
            )
        else:
            return
    try:
        raise failure or OSError(f"no matching local address with family={family!r} found")
    finally:
        del failure  # it holds this frame


async def create_unix_connection(
    loop: CompleteLoop,
    protocol_factory: Callable[[], P],
    path: Any,
    *,
    tls: TLSOptions | None,
    sock: socket.socket | None,
) -> tuple[asyncio.Transport, P]:
    """Connect to a Unix stream socket: a path, an abstract name, or a connected `sock`."""
    if path is not None:
        if sock is not None:
            raise ValueError("path and sock can not be specified at the same time")
        sock = loop.make_socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, os.fspath(path))
        except BaseException:
            discard(sock)
            raise
    elif sock is None:
        raise ValueError("no path and sock were specified")
    elif sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")
    return await _open(loop, sock, protocol_factory, tls)


async def connect_accepted_socket(
    loop: CompleteLoop,
    protocol_factory: Callable[[], P],
    sock: socket.socket,
    *,
    tls: TLSOptions | None,
) -> tuple[asyncio.Transport, P]:
    """Put a transport on a connection that was accepted elsewhere.

    Raises ValueError if it is not a stream socket.
    """
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    refuse_ssl_socket(sock)
    return await _open(loop, sock, protocol_factory, tls)


def set_reuse_port(sock: socket.socket) -> None:
    """Let several sockets listen on one port. Raises ValueError where that is unknown."""
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port not supported by socket module")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        raise ValueError(
            "reuse_port not supported by socket module, SO_REUSEPORT defined but not implemented."
        ) from None
