"""What the peer has sent and nobody has read: when it is wanted, and how it is dropped.

When a socket is closed with data unread the kernel does not say "end of file" but "reset" (RFC
2525, section 2.17), and the peer may lose what we have sent as well, such as a "413 Content Too
Large" that it has not read yet because it is still sending. And a peer that is blocked in sending
may not read either: then an answer that is longer than its buffers would never leave ours.

So a transport that closes reads what has come, and drops it, but at most MOST_DROPPED bytes: a peer
that sends without end must not keep it open. See docs/decisions/closing-with-data-unread.md.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from miniloop.net.nonblocking import WOULD_BLOCK

__all__ = ["MOST_DROPPED", "drop", "stream_reader_is_full", "take_from_stream_reader"]

# Bytes: what is read and dropped at most, and how much of it at a time. It is what asyncio reads
# at once.
MOST_DROPPED = 256 * 1024
DROP_SIZE = 64 * 1024


def drop(sock: socket.socket, most: int) -> int:
    """Read from a non-blocking socket until it is empty, or `most` bytes have come.

    Returns how many more it may be: 0 if they have come, or nothing will come any more.
    """
    left = most
    try:
        # Not to the first short read: the room that we make is filled as soon as it is there.
        while left > 0:
            count = len(sock.recv(DROP_SIZE))
            if not count:
                return 0
            left -= count
    except WOULD_BLOCK:
        return left
    except OSError:
        return 0  # the connection is lost; the next write will report it
    return 0


def stream_reader_is_full(protocol: asyncio.BaseProtocol) -> bool:
    """Whether it is a StreamReader that has paused reading, because it has too much already."""
    reader = _stream_reader(protocol)
    return reader is not None and reader._paused


def take_from_stream_reader(protocol: asyncio.BaseProtocol) -> bytes:
    """Take what a StreamReader has received, and nobody has read.

    A client may send its TLS hello right after the server's answer, or without waiting for one, as
    behind a load balancer that sends a line about itself first.
    """
    reader = _stream_reader(protocol)
    if reader is None:
        return b""
    unread = bytes(reader._buffer)
    reader._buffer.clear()
    return unread


def _stream_reader(protocol: asyncio.BaseProtocol) -> Any:
    if not isinstance(protocol, asyncio.StreamReaderProtocol):
        return None
    return getattr(protocol, "_stream_reader", None)
