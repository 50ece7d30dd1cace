"""Connections: how they are accepted, begin and end."""

from __future__ import annotations

from miniloop.compiled.rewrites.ideas import BYTES, EVENT, PARENT, PLACE, TYPES
from miniloop.compiled.specialise import Addition, Rewrite, Slots

__all__ = ["OF_CONNECTIONS"]

_BEGINNING = "loop, sock, protocol, extra"

# Where a method calls that of its parent: module, method, parent, the parent's method, arguments.
_PARENTS = (
    ("stream", "StreamTransport.__init__", "WritableTransport", "__init__", _BEGINNING),
    ("stream", "StreamTransport.set_protocol", "WritableTransport", "set_protocol", "protocol"),
    ("stream", "StreamTransport._lose", "WritableTransport", "_lose", "exc"),
    ("stream", "StreamTransport._release", "WritableTransport", "_release", ""),
    (
        "descriptor_transport",
        "WritableTransport.__init__",
        "DescriptorTransport",
        "__init__",
        "loop, file, protocol, extra",
    ),
    ("descriptor_transport", "WritableTransport._release", "DescriptorTransport", "_release", ""),
)

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
    # A connection is non-blocking from the start, and made without `socket.__init__`.
    Rewrite(
        BYTES,
        "net.socket_kind",
        "fd, address = sock._accept()",
        """
        if can_accept(sock):
            return accept_connection(sock)
        fd, address = sock._accept()
        """,
    ),
    Addition(
        BYTES,
        "net.socket_kind",
        """
        with socket.socket() as _sock:
            learn_sockets(_sock)
        """,
    ),
    Rewrite(BYTES, "net.stream", "sock.getsockname()", "name_of(sock, False)"),
    Rewrite(BYTES, "net.stream", "sock.getpeername()", "name_of(sock, True)"),
    # The parent's method without an object for `super()`, and a search through the classes.
    *(
        Rewrite(
            PARENT,
            f"net.{module}",
            f"super().{method}({arguments})",
            f"{parent}.{method}({', '.join(('self', *filter(None, [arguments])))})",
            within=within,
        )
        for module, within, parent, method, arguments in _PARENTS
    ),
    # What is known of a socket.
    Rewrite(
        TYPES,
        "net.socket_watch",
        '__slots__ = ("guesses_skipped", "guesses_to_skip", "guessing", "short_read_drains")',
        "",
    ),
    Rewrite(TYPES, "net.socket_watch", "super().__init__(fd)", "Watch.__init__(self, fd)"),
    # Watching: the table's own methods, without a look for another on the object, unless it is of
    # another class.
    Rewrite(EVENT, "kernel.poller", "self._apply(watch)", "apply(self, watch)", times=11),
    Rewrite(EVENT, "kernel.poller", "self._watch_number(fd)", "watch_of(self, fd)", times=2),
    Rewrite(EVENT, "kernel.poller", "self._drop(watch)", "drop(self, watch)", times=2),
)
