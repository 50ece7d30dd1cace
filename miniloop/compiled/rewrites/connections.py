"""Connections: how they are accepted, begin and end."""

from __future__ import annotations

from miniloop.compiled.rewrites.ideas import BYTES, PLACE, TYPES
from miniloop.compiled.specialise import Addition, Rewrite, Slots

__all__ = ["OF_CONNECTIONS"]

OF_CONNECTIONS: tuple[Addition | Rewrite | Slots, ...] = (
    # What transports share.
    Rewrite(
        TYPES,
        "net.descriptor_transport",
        "import asyncio",
        """
        import asyncio
        import cython
        """,
    ),
    Slots(
        PLACE,
        "net.descriptor_transport",
        "DescriptorTransport",
        {
            "_closing": "",
            "_context": "",
            "_ended": "",
            "_fd": "",
            "_file": "",
            "_loop": "",
            "_lost": "",
            "_lost_writes": "",
            "_made": "",
            "_marks": "WriteMarks",
            "_paused": "",
            "_protocol": "",
            "_started": "",
        },
        heirs=("ReadableTransport", "WritableTransport"),
    ),
    # Accepting.
    Rewrite(
        TYPES,
        "net.listener",
        """
        __slots__ = (
            "_burst",
            "_context",
            "_failed",
            "_fd",
            "_loop",
            "_protocol_factory",
            "_server",
            "_tls",
            "sock",
        )
        """,
        "",
    ),
    # Before the end: see `unread`. To be told by an exception that there is nothing costs more than
    # all else.
    Rewrite(
        BYTES,
        "net.unread",
        "count = len(sock.recv(DROP_SIZE))",
        """
        count = drop_bytes(sock, DROP_SIZE)
        if count == NOTHING_THERE:
            return left
        """,
    ),
    Addition(
        BYTES,
        "net.unread",
        """
        with socket.socket() as _sock:
            learn_sockets(_sock)
        """,
    ),
)
