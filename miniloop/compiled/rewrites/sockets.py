"""Transports: slots where they lie, and `recv` and `send` of C."""

from __future__ import annotations

from miniloop.compiled.rewrites.ideas import BYTES, PLACE, TYPES
from miniloop.compiled.specialise import Addition, Rewrite, Slots

__all__ = ["OF_SOCKETS"]

OF_SOCKETS: tuple[Addition | Rewrite | Slots, ...] = (
    # A stream.
    Rewrite(
        TYPES,
        "net.write_buffer",
        '__slots__ = ("_pieces", "size")',
        "",
    ),
    Rewrite(
        TYPES,
        "net.flow_control",
        '__slots__ = ("_loop", "_transport", "high", "low", "paused", "protocol")',
        "",
    ),
    Rewrite(
        TYPES,
        "net.stream",
        "import asyncio",
        """
        import asyncio
        import cython
        """,
    ),
    Slots(
        PLACE,
        "net.stream",
        "StreamTransport",
        {
            "_buffer": "WriteBuffer",
            "_buffered_protocol": "",
            "_closing": "",
            "_ended": "",
            "_eof_written": "",
            "_file": "",
            "_flushed": "",
            "_lost": "",
            "_marks": "WriteMarks",
            "_paused": "",
            "_protocol": "",
            "_read_size": "",
        },
    ),
    Addition(
        BYTES,
        "net.stream",
        """
        with socket.socket() as _sock:
            learn_sockets(_sock)
        """,
    ),
    Rewrite(
        BYTES,
        "net.stream",
        "size = self._read_size",
        """
        size = cython.declare(cython.Py_ssize_t, self._read_size)
        count = cython.declare(cython.Py_ssize_t)
        """,
    ),
    Rewrite(BYTES, "net.stream", "self._file.recv(size)", "receive_bytes(self._file, size)"),
    Rewrite(
        BYTES, "net.stream", "self._file.recv_into(buffer)", "receive_into(self._file, buffer)"
    ),
    Rewrite(
        BYTES,
        "net.stream",
        "sent = self._file.send(data)",
        "sent = send_bytes(self._file, data)",
    ),
    Rewrite(
        BYTES,
        "net.stream",
        """
        if not data:
            return
        """,
        """
        sent = cython.declare(cython.Py_ssize_t)
        if not data:
            return
        """,
        within="StreamTransport.write",
    ),
    # Datagrams.
    Rewrite(TYPES, "net.burst", '__slots__ = ("_full", "_longest", "_patience", "length")', ""),
    Rewrite(
        TYPES,
        "net.datagram",
        "import asyncio",
        """
        import asyncio
        import cython
        """,
    ),
    Slots(
        PLACE,
        "net.datagram",
        "DatagramTransport",
        {
            "_address": "",
            "_burst": "Burst",
            "_closing": "",
            "_connected": "",
            "_file": "",
            "_lost": "",
            "_marks": "WriteMarks",
            "_paused": "",
            "_protocol": "",
            "_queue": "",
            "_receive": "",
            "_size": "",
        },
    ),
    Addition(
        BYTES,
        "net.datagram",
        """
        with socket.socket() as _sock:
            learn_sockets(_sock)
        """,
    ),
    Rewrite(BYTES, "net.datagram", "receive()", "receive_from(self._file, receive)"),
    Rewrite(BYTES, "net.datagram", "self._file.send(data)", "send_bytes(self._file, data)"),
    Rewrite(
        BYTES,
        "net.datagram",
        "self._file.sendto(data, address)",
        "send_to(self._file, data, address)",
    ),
)
