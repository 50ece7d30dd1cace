"""Connections: from a name to a transport.

`create_connection` resolves a name, tries the addresses one after the other (or staggered, "Happy
Eyeballs", RFC 8305, so that an address that swallows packets does not hold up the others), and
puts a transport and a protocol on the socket that connected first.

Source: the CPython documentation, "Opening network connections"; RFC 8305.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from miniloop.kernel.contract import CompleteLoop
from miniloop.net import happy_eyeballs, resolver
from miniloop.net.attach import TLSOptions, attach, client_tls, server_tls
from miniloop.net.ownership import discard, refuse_owned
from miniloop.net.socket_kind import refuse_ssl_socket

__all__ = ["connect_accepted_socket", "create_connection", "create_unix_connection"]

P = TypeVar("P", bound=asyncio.BaseProtocol)


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
    host: Any = None,
    port: Any = None,
    *,
    ssl: Any = None,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    sock: socket.socket | None = None,
    local_addr: Any = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
    all_errors: bool = False,
) -> tuple[asyncio.Transport, P]:
    """Connect by TCP to `(host, port)`, or take over the connected socket `sock`.

    Raises OSError if no address could be connected to. If there were several errors, it names them
    all; with `all_errors` it is an ExceptionGroup of them.
    """
    tls = client_tls(
        ssl,
        server_hostname,
        ssl_handshake_timeout,
        ssl_shutdown_timeout,
        if_unnamed=host,
        missing="You must set server_hostname when using ssl without a host",
    )
    if sock is not None:
        refuse_ssl_socket(sock)
    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        literal = resolver.parse_literal(host, port, family, socket.SOCK_STREAM, proto)
        if literal is not None and local_addr is None:
            remote, local = [literal], None
        else:
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
    try:
        if delay is None:
            for info in remote:
                try:
                    return await _connect_one(loop, info, local, errors)
                except OSError:
                    continue  # `errors` has it
        else:
            attempts = [partial(_connect_one, loop, info, local, errors) for info in remote]
            sock = await happy_eyeballs.race(loop, attempts, delay)
            if sock is not None:
                return sock
        raise _one_error(errors, all_errors)
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
    path: Any = None,
    *,
    ssl: Any = None,
    sock: socket.socket | None = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> tuple[asyncio.Transport, P]:
    """Connect to a Unix stream socket: a path, an abstract name, or a connected `sock`."""
    tls = client_tls(
        ssl,
        server_hostname,
        ssl_handshake_timeout,
        ssl_shutdown_timeout,
        if_unnamed=None,
        missing="you have to pass server_hostname when using ssl",
    )
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
    ssl: Any = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> tuple[asyncio.Transport, P]:
    """Put a transport on a connection that was accepted outside of the loop.

    Raises ValueError if it is not a stream socket.
    """
    tls = server_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    refuse_ssl_socket(sock)
    return await _open(loop, sock, protocol_factory, tls)
