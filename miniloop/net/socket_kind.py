"""What kind of socket one has been given, and another of the same kind.

The trap: the properties `family` and `type` of `socket.socket` turn numbers into members of
enumerations, which is slow, and is asked of every connection. Its `accept` asks them, too. Here the
numbers are read from where the properties have them.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from miniloop.net.nonblocking import WOULD_BLOCK

try:
    from ssl import SSLSocket
except ImportError:  # an interpreter built without it
    _BLOCKING_SOCKETS: tuple[type, ...] = ()
else:
    _BLOCKING_SOCKETS = (SSLSocket,)

__all__ = [
    "INTERNET",
    "accept",
    "connect",
    "family_of",
    "is_tcp",
    "refuse_ssl_socket",
    "type_of",
]

INTERNET = (int(socket.AF_INET), int(socket.AF_INET6))
_STREAM = int(socket.SOCK_STREAM)

# What a BlockingIOError or an InterruptedError would say.
_NOT_YET = (errno.EINPROGRESS, errno.EAGAIN, errno.EALREADY, errno.EINTR)

_Socket = socket.socket
_bare_family = socket.SocketType.family.__get__
_bare_type = socket.SocketType.type.__get__


def family_of(sock: socket.socket) -> int:
    """The address family, such as `socket.AF_INET`."""
    # An object that wraps a socket, or a subclass, may have properties of its own.
    return _bare_family(sock) if type(sock) is _Socket else sock.family


def type_of(sock: socket.socket) -> int:
    """The type, such as `socket.SOCK_STREAM`."""
    return _bare_type(sock) if type(sock) is _Socket else sock.type


def is_tcp(sock: socket.socket) -> bool:
    """True for a stream socket of the internet families."""
    if type(sock) is _Socket:
        return _bare_family(sock) in INTERNET and _bare_type(sock) == _STREAM
    return sock.family in INTERNET and sock.type == _STREAM


def accept(sock: socket.socket) -> tuple[socket.socket, Any]:
    """`sock.accept()` of a listening socket that does not block; what it gives does not either."""
    if type(sock) is _Socket:
        fd, address = sock._accept()  # type: ignore[attr-defined]  # private
        connection = _Socket(_bare_family(sock), _bare_type(sock), sock.proto, fd)
    else:
        connection, address = sock.accept()
    connection.setblocking(False)
    return connection, address


def connect(sock: socket.socket, address: Any) -> int:
    """`sock.connect(address)` of a socket that does not block.

    Returns 0 if it is connected, and else the error that says that it is not yet. Any other is
    raised. Nearly every connection is "in progress" first, and an exception for that would be
    half of what it costs to begin one.
    """
    if type(sock) is _Socket:
        try:
            problem = sock.connect_ex(address)
        except (TypeError, OverflowError):
            sock.connect(address)  # raises the same, in its own name
            raise
    else:
        try:
            sock.connect(address)
        except WOULD_BLOCK as exc:
            return exc.errno or errno.EINPROGRESS
        return 0
    if problem and problem not in _NOT_YET:
        raise OSError(problem, os.strerror(problem))
    return problem


def refuse_ssl_socket(sock: Any) -> None:
    """Raise TypeError for a socket that does TLS by itself, and would block in it."""
    if isinstance(sock, _BLOCKING_SOCKETS):
        raise TypeError("Socket cannot be of type SSLSocket")
