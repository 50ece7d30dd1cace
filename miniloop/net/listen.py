"""Listening: from names and paths to sockets that are bound, and a server that accepts on them.

The trap: a name has several addresses, and two names may have one in common. Every address is bound
once, or none is: an error on the last of them closes all the others.

Whatever fails, and wherever the caller is cancelled, the sockets that were made here are closed,
and a file that was made for one of them is removed. A socket that the caller brought is left alone.

Source: the CPython documentation, "Creating network servers"; bind(2), ipv6(7), unix(7).
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import operator
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.report import logger
from miniloop.net import resolver, unix_path
from miniloop.net.attach import TLSOptions, server_tls
from miniloop.net.ownership import discard
from miniloop.net.server import Server
from miniloop.net.socket_kind import refuse_ssl_socket
from miniloop.net.socket_options import set_reuse_port

__all__ = ["CLEANUP_SOCKET", "create_server", "create_unix_server"]

# From CPython 3.13 on a server removes the file of its Unix socket unless told not to.
CLEANUP_SOCKET = sys.version_info >= (3, 13)


async def create_server(
    loop: CompleteLoop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: Any = None,
    port: Any = None,
    *,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    sock: socket.socket | None = None,
    backlog: int = 100,
    ssl: Any = None,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    keep_alive: bool | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    start_serving: bool = True,
) -> Server:
    """Listen on every address of `host` (a name, several names, or None for all), or on `sock`.

    Raises ValueError for contradictory arguments, TypeError if `backlog` is no integer, OSError if
    an address cannot be bound, RuntimeError if `sock` is in use already.
    """
    tls = _server_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
    if sock is not None:
        refuse_ssl_socket(sock)
    backlog = operator.index(backlog)
    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        if reuse_address is None:
            reuse_address = os.name == "posix" and sys.platform != "cygwin"
        infos = await _resolve_hosts(loop, host, port, family, flags)
        sockets = _bind_all(loop, infos, bool(reuse_address), bool(reuse_port), bool(keep_alive))
    else:
        if sock is None:
            raise ValueError("Neither host/port nor sock were specified")
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"A Stream Socket was expected, got {sock!r}")
        sockets = [sock]
    server = Server(loop, sockets, protocol_factory, backlog, tls)
    await _begin(server, sockets, start_serving, is_ours=sock is None)
    return server


def _server_tls(
    ssl: Any, handshake_timeout: float | None, shutdown_timeout: float | None
) -> TLSOptions | None:
    if isinstance(ssl, bool):
        raise TypeError("ssl argument must be an SSLContext or None")
    return server_tls(ssl, handshake_timeout, shutdown_timeout)


async def _begin(
    server: Server,
    sockets: list[socket.socket],
    start_serving: bool,
    *,
    is_ours: bool,
    file: str | bytes | None = None,
) -> None:
    """Start a new server if `start_serving` says so. On failure close it, and sockets of ours."""
    try:
        if file:
            server.remove_on_close(file)
        for sock in sockets:
            sock.setblocking(False)
        if start_serving:
            await server.start_serving()
    except BaseException:
        if is_ours:
            server.close()
        else:
            server.stop_serving()
        raise


async def _resolve_hosts(
    loop: CompleteLoop, host: Any, port: Any, family: int, flags: int
) -> list[resolver.AddressInfo]:
    if host == "":
        hosts: list[Any] = [None]
    elif isinstance(host, str) or not isinstance(host, Iterable):
        hosts = [host]
    else:
        hosts = list(host)
    found = await asyncio.gather(
        *(resolver.resolve(loop, (name, port), family=family, flags=flags) for name in hosts)
    )
    for name, infos in zip(hosts, found, strict=True):
        if not infos:
            raise OSError(f"getaddrinfo({name!r}) returned empty list")
    # Two names may stand for one address, which can be bound only once.
    return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def _bind_all(
    loop: CompleteLoop,
    infos: list[resolver.AddressInfo],
    reuse_address: bool,
    reuse_port: bool,
    keep_alive: bool,
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for family, kind, proto, _, address in infos:
            try:
                sock = loop.make_socket(family, kind, proto)
            except OSError:
                logger.debug("no socket for family %r", family, exc_info=True)
                continue  # a family that the resolver knows and the kernel does not
            sockets.append(sock)
            if reuse_address:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            if reuse_port:
                set_reuse_port(sock)
            if keep_alive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
            if family == socket.AF_INET6 and hasattr(socket, "IPPROTO_IPV6"):
                # Linux would take the IPv4 port as well, and the IPv4 socket could not be bound.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
            try:
                sock.bind(address)
            except OSError as exc:
                message = f"error while attempting to bind on address {address!r}: {exc}".lower()
                if exc.errno != errno.EADDRNOTAVAIL:
                    raise OSError(exc.errno, message) from None
                # The family is known but not enabled on any interface.
                logger.debug(message)
                sockets.pop().close()
        if not sockets:
            addresses = [info[4] for info in infos]
            raise OSError(f"could not bind on any address out of {addresses!r}")
    except BaseException:
        for sock in sockets:
            discard(sock)
        raise
    return sockets


async def create_unix_server(
    loop: CompleteLoop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    path: Any = None,
    *,
    sock: socket.socket | None = None,
    backlog: int = 100,
    ssl: Any = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    start_serving: bool = True,
    cleanup_socket: bool = CLEANUP_SOCKET,
) -> Server:
    """Listen on a Unix socket: a path, an abstract name (it begins with a NUL), or `sock`.

    A stale socket file in the way is replaced. With `cleanup_socket` the file is removed when the
    server closes. Raises as `create_server` does.
    """
    tls = _server_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
    backlog = operator.index(backlog)
    file = None  # of the socket; it is removed when the server closes
    if path is not None:
        if sock is not None:
            raise ValueError("path and sock can not be specified at the same time")
        file = os.fspath(path)
        listener = _bind_unix(loop, file)
    elif sock is None:
        raise ValueError("path was not specified, and no sock specified")
    elif sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")
    else:
        listener = sock
        if cleanup_socket:
            file = sock.getsockname()
    server = Server(loop, [listener], protocol_factory, backlog, tls)
    await _begin(server, [listener], start_serving, is_ours=sock is None, file=file)
    if not cleanup_socket:
        server.leave_socket_files()
    return server


def _bind_unix(loop: CompleteLoop, path: str | bytes) -> socket.socket:
    unix_path.remove_stale_socket(path)
    sock = loop.make_socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except OSError as exc:
        discard(sock)
        if exc.errno == errno.EADDRINUSE:
            raise OSError(errno.EADDRINUSE, f"Address {path!r} is already in use") from None
        raise
    except BaseException:
        discard(sock)
        raise
    return sock
