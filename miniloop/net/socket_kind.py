"""What kind of socket one has been given.

The trap: the properties `family` and `type` of `socket.socket` turn numbers into members of
enumerations, which is slow, and is asked of every connection. Here the numbers are read from where
the properties have them.
"""

from __future__ import annotations

import socket
from typing import Any

try:
    from ssl import SSLSocket
except ImportError:  # an interpreter built without it
    _BLOCKING_SOCKETS: tuple[type, ...] = ()
else:
    _BLOCKING_SOCKETS = (SSLSocket,)

__all__ = ["INTERNET", "family_of", "is_tcp", "refuse_ssl_socket", "type_of"]

INTERNET = (socket.AF_INET, socket.AF_INET6)

_bare_family = socket.SocketType.family.__get__
_bare_type = socket.SocketType.type.__get__


def family_of(sock: socket.socket) -> int:
    """The address family, such as `socket.AF_INET`."""
    # An object that wraps a socket, or a subclass, may have properties of its own.
    return _bare_family(sock) if type(sock) is socket.socket else sock.family


def type_of(sock: socket.socket) -> int:
    """The type, such as `socket.SOCK_STREAM`."""
    return _bare_type(sock) if type(sock) is socket.socket else sock.type


def is_tcp(sock: socket.socket) -> bool:
    """True for a stream socket of the internet families."""
    return family_of(sock) in INTERNET and type_of(sock) == socket.SOCK_STREAM


def refuse_ssl_socket(sock: Any) -> None:
    """Raise TypeError for a socket that does TLS by itself, and would block in it."""
    if isinstance(sock, _BLOCKING_SOCKETS):
        raise TypeError("Socket cannot be of type SSLSocket")
