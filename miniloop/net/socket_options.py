"""Options that are set on sockets in more than one place.

Source: socket(7), tcp(7), ipv6(7).
"""

from __future__ import annotations

import socket

__all__ = ["set_reuse_port"]


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
