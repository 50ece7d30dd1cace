"""`create_datagram_endpoint`: from addresses to a socket for datagrams, with a transport on it.

Source: the CPython documentation, `loop.create_datagram_endpoint`; ip(7), unix(7).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.report import logger
from miniloop.net import resolver, unix_path
from miniloop.net.datagram import DatagramTransport
from miniloop.net.ownership import discard, refuse_owned
from miniloop.net.socket_options import set_reuse_port
from miniloop.net.unix_path import SocketFile

__all__ = ["create_datagram_endpoint"]

_UNIX = getattr(socket, "AF_UNIX", None)


async def create_datagram_endpoint(
    loop: CompleteLoop,
    protocol_factory: Callable[[], Any],
    local_addr: Any = None,
    remote_addr: Any = None,
    *,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    reuse_port: bool | None = None,
    allow_broadcast: bool | None = None,
    sock: socket.socket | None = None,
) -> tuple[DatagramTransport, Any]:
    """Make a datagram endpoint of two addresses, or of a socket that exists.

    An address is `(host, port)`, or a path if the family is AF_UNIX. With a remote address the
    socket is connected to it, unless it is to broadcast. Raises ValueError and TypeError for
    options that do not go together, the first OSError if no pair of addresses works, RuntimeError
    if the socket belongs to another transport.
    """
    remote = file = None
    if sock is None:
        pairs = await _address_pairs(loop, local_addr, remote_addr, family, proto, flags)
        sock, remote, file = await _open_any(loop, pairs, reuse_port, allow_broadcast)
    else:
        _check_socket(
            sock,
            local_addr=local_addr,
            remote_addr=remote_addr,
            family=family,
            proto=proto,
            flags=flags,
            reuse_port=reuse_port,
            allow_broadcast=allow_broadcast,
        )
        refuse_owned(loop, sock.fileno(), sock)  # before it is ours to close
    transport = waiter = None
    try:
        sock.setblocking(False)
        protocol = protocol_factory()
        waiter = loop.create_future()
        transport = DatagramTransport(loop, sock, protocol, remote, waiter)
        await waiter
    except BaseException:
        if transport is None:
            discard(sock)
        else:
            transport.close()
        if file is not None:
            file.remove()
        waiter = None  # it may hold the exception, whose traceback holds this frame
        raise
    if loop.get_debug():
        logger.debug("made a datagram endpoint: (%r, %r)", transport, protocol)
    return transport, protocol


def _check_socket(sock: socket.socket, **options: Any) -> None:
    if sock.type == socket.SOCK_STREAM:
        raise ValueError(f"A datagram socket was expected, got {sock!r}")
    given = ", ".join(f"{name}={value}" for name, value in options.items() if value)
    if given:
        raise ValueError(
            f"socket modifier keyword arguments can not be used when sock is specified. ({given})"
        )


# Family, protocol, local address, remote address.
_Pair = tuple[int, int, Any, Any]


async def _address_pairs(
    loop: CompleteLoop, local: Any, remote: Any, family: int, proto: int, flags: int
) -> list[_Pair]:
    """Every pair of addresses to try, one for each family and protocol that both have."""
    if not local and not remote:
        if family == socket.AF_UNSPEC:
            raise ValueError("unexpected address family: without addresses it must be named")
        return [(family, proto, None, None)]
    if family == _UNIX:
        for path in (local, remote):
            if path is not None and not isinstance(path, str):
                raise TypeError(f"a path must be a string, got {path!r}: string is expected")
        return [(family, proto, local, remote)]
    found: dict[tuple[int, int], list[Any]] = {}
    for index, address in enumerate((local, remote)):
        if address is None:
            continue
        if not (isinstance(address, tuple) and len(address) == 2):
            raise TypeError(
                f"an address must be (host, port), got {address!r}: 2-tuple is expected"
            )
        infos = await resolver.resolve(
            loop, address, family=family, kind=socket.SOCK_DGRAM, proto=proto, flags=flags
        )
        if not infos:
            raise OSError(f"getaddrinfo() returned empty list for {address!r}")
        for info in infos:
            found.setdefault((info[0], info[2]), [None, None])[index] = info[4]
    pairs = [
        (*key, *pair)
        for key, pair in found.items()
        if not (local and pair[0] is None) and not (remote and pair[1] is None)
    ]
    if not pairs:
        raise ValueError("can not get address information: no family has both addresses")
    return pairs


async def _open_any(
    loop: CompleteLoop, pairs: list[_Pair], reuse_port: bool | None, allow_broadcast: bool | None
) -> tuple[socket.socket, Any, SocketFile | None]:
    """The first socket that could be made, where all its datagrams go (or None), and its file.

    Raises the error of the first pair if none could.
    """
    first_error: OSError | None = None
    for pair in pairs:
        try:
            return await _open(loop, pair, reuse_port, allow_broadcast)
        except OSError as exc:
            first_error = first_error or exc
    assert first_error is not None
    try:
        raise first_error
    finally:
        first_error = None  # it holds this frame


async def _open(
    loop: CompleteLoop, pair: _Pair, reuse_port: bool | None, allow_broadcast: bool | None
) -> tuple[socket.socket, Any, SocketFile | None]:
    family, proto, local, remote = pair
    sock = loop.make_socket(family, socket.SOCK_DGRAM, proto)
    file = None
    try:
        if reuse_port:
            set_reuse_port(sock)
        if allow_broadcast:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setblocking(False)
        if local:
            if family == _UNIX:
                unix_path.remove_stale_socket(local)
            sock.bind(local)
            if family == _UNIX:
                file = SocketFile.at(local)
        if remote and not allow_broadcast:
            await loop.sock_connect(sock, remote)
    except BaseException:
        discard(sock)
        if file is not None:
            file.remove()
        raise
    return sock, remote or None, file
