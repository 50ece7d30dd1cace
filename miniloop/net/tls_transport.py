"""SSLTransport: the application's end of a TLS connection, what it may do and how it is told.

To an application it looks like any other transport. Three things are not as with a plain socket:

* There is no half-close: closing is for both directions (`can_write_eof` is False).
* Each `write` makes records of its own, and is sent at once. Small pieces that belong together are
  better given to `writelines`, which joins them (docs/decisions/tls-writes.md).
* `close` tells the peer, which should answer. It may take until the shutdown timeout before
  `connection_lost` is called.

It is not named TLSTransport because programs look for "ssl" in the name of a transport's class.
"""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Iterable
from typing import Any, Protocol

from miniloop.kernel.contract import Loop
from miniloop.kernel.exits import EXITS, was_told
from miniloop.kernel.handle import repeatable
from miniloop.kernel.report import logger
from miniloop.net.flow_control import LOST_WRITES_TOLERATED, WriteMarks
from miniloop.net.tls_inbox import Inbox
from miniloop.net.tls_outbox import Outbox
from miniloop.net.write_buffer import BYTES_LIKE, refusal

__all__ = ["HIGH_WATER", "SSLTransport"]

# Bytes that may wait to be encrypted before the application is told to pause. The transport below
# keeps its own mark on what is encrypted and not yet sent.
HIGH_WATER = 512 * 1024


class TLSConnection(Protocol):
    """The `TLSProtocol` below, as its transport sees it."""

    below: Any  # the transport that carries the ciphertext; None before and after
    context: ssl.SSLContext
    ssl_object: ssl.SSLObject
    agreed: bool  # the handshake is done
    outbox: Outbox

    def describe(self) -> str: ...  # for a `repr`
    def is_ending(self) -> bool: ...  # it is too late to write
    def is_closing(self) -> bool: ...  # the same, or the transport below is closing
    def write(self, data: bytes | bytearray | memoryview, /) -> bool: ...  # False if too late
    def flush(self) -> None: ...  # what is in the outbox
    def resume_delivery(self) -> None: ...
    def fail(self, exc: BaseException, message: str, /) -> None: ...
    def close(self) -> None: ...
    def abort(self, exc: BaseException | None = None, /) -> None: ...


class SSLTransport(asyncio.Transport):
    """The application's end of a TLS connection."""

    __slots__ = (
        "__dict__",  # as of StreamTransport
        "__weakref__",
        "_buffered",
        "_loop",
        "_lost_writes",
        "_protocol",
        "_tls",
        "_upgrade",
        "marks",
        "reading_paused",
    )
    global __static_attributes__  # as in Future: 70 bytes less on CPython 3.14

    # asyncio.StreamWriter.start_tls and other libraries check whether loop.start_tls accepts us:
    # TLS inside TLS is how one talks to a server through a proxy that encrypts.
    _start_tls_compatible = True

    def __init__(
        self, loop: Loop, tls: TLSConnection, protocol: asyncio.BaseProtocol, upgrade: bool
    ) -> None:
        super().__init__()
        self._loop = loop
        self._tls = tls
        self._upgrade = upgrade  # the protocol was connected before
        self.reading_paused = False
        self._lost_writes = 0
        self.marks = WriteMarks(loop, self, protocol)
        self.marks.set(None, None, HIGH_WATER)
        self.set_protocol(protocol)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._tls.describe()}>"

    def __del__(self) -> None:
        tls = getattr(self, "_tls", None)  # a constructor may have been interrupted
        if tls is not None and not tls.is_ending():
            message = f"unclosed transport {self!r}"
            warnings.warn(message, ResourceWarning, source=self, stacklevel=2)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection; see the CPython documentation for the names.

        `peercert`, `cipher`, `compression`, `sslcontext` and `ssl_object` are ours, the first three
        and the last from the end of the handshake on; others are those of the transport below.
        """
        tls = self._tls
        if name == "sslcontext":
            return tls.context
        if tls.agreed:
            if name == "ssl_object":
                return tls.ssl_object
            if name == "peercert":
                return tls.ssl_object.getpeercert()
            if name == "cipher":
                return tls.ssl_object.cipher()
            if name == "compression":
                return tls.ssl_object.compression()
        return default if tls.below is None else tls.below.get_extra_info(name, default)

    @property
    def _ssl_protocol(self) -> TLSConnection:
        """The protocol below, by the name under which programs look for it in asyncio's TLS."""
        return self._tls

    # The protocol.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from now on."""
        self._protocol: Any = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)
        self.marks.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is told of what happens."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def tell_connected(self) -> None:
        """The handshake is done."""
        if not self._upgrade:
            self._tell_or_fail("connection_made", self)

    def deliver(self, inbox: Inbox) -> None:
        """Tell of what has come: of all, or of as much as fits into a buffer of the protocol's."""
        if self._buffered:
            self._fill_buffer(inbox)
            return
        data = inbox.take()
        if data:
            try:
                self._protocol.data_received(data)
            except BaseException as exc:
                self._tls.fail(exc, "Fatal error: protocol.data_received() call failed.")

    def _fill_buffer(self, inbox: Inbox) -> None:
        try:
            buffer = memoryview(self._protocol.get_buffer(-1)).cast("B")
            if not buffer:
                raise RuntimeError("get_buffer() returned an empty buffer")
        except BaseException as exc:
            self._tls.fail(exc, "Fatal error: protocol.get_buffer() call failed.")
            return
        size = inbox.fill(buffer)
        if size:
            self._tell_or_fail("buffer_updated", size)

    def tell_end_of_file(self) -> None:
        """The peer will send no more."""
        if self._tell_or_fail("eof_received"):
            logger.warning("returning true from eof_received() has no effect when using ssl")

    @repeatable
    def tell_lost(self, exc: BaseException | None) -> None:
        """The connection is gone. Nothing is told after this. Calling it again is harmless."""
        protocol = self._protocol
        if protocol is None:
            return
        self.marks.forget()
        try:
            self._protocol = None
            if self._upgrade or self._tls.agreed:
                protocol.connection_lost(exc)
        except EXITS as error:
            if not was_told(error, protocol):
                self._protocol = protocol
            raise

    def _tell_or_fail(self, method: str, *args: Any) -> Any:
        try:
            return getattr(self._protocol, method)(*args)
        except BaseException as exc:
            self._tls.fail(exc, f"Fatal error: protocol.{method}() call failed.")

    # Reading.

    def is_reading(self) -> bool:
        """True unless reading is paused, or the transport is closing."""
        return not self.reading_paused and not self._tls.is_ending()

    def pause_reading(self) -> None:
        """Tell the protocol of no more data until `resume_reading`."""
        if not self._tls.is_ending():
            self.reading_paused = True

    def resume_reading(self) -> None:
        """Tell the protocol of data again, beginning with what has come meanwhile."""
        if self.reading_paused:
            self.reading_paused = False
            self._tls.resume_delivery()

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send `data`, now or as soon as there is room.

        Raises TypeError unless it is bytes, a bytearray or a memoryview.
        """
        if type(data) is not bytes and not isinstance(data, BYTES_LIKE):
            raise refusal(data)
        if not data:
            return
        if not self._tls.write(data):
            self._count_lost_write()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send several pieces, in as few records and system calls as hold them."""
        pieces = list(list_of_data)
        # All of them before any is sent: one may be refused.
        for data in pieces:
            if not isinstance(data, BYTES_LIKE):
                raise refusal(data)
        if self.is_closing():
            self._count_lost_write()
            return
        outbox = self._tls.outbox
        for data in pieces:
            if data:
                outbox.add(data)
        self._tls.flush()

    def _count_lost_write(self) -> None:
        self._lost_writes += 1
        if self._lost_writes > LOST_WRITES_TOLERATED:
            logger.warning("SSL connection is closed: what was written to %r is lost", self)

    def can_write_eof(self) -> bool:
        """False: TLS has no half-close that peers could be relied on to understand."""
        return False

    def write_eof(self) -> None:
        """Raise NotImplementedError: see `can_write_eof`."""
        raise NotImplementedError("TLS has no half-close; close() ends both directions")

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be encrypted and handed to the transport below."""
        return self._tls.outbox.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high water mark, in bytes."""
        return self.marks.low, self.marks.high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, in bytes: see `WriteMarks.set`."""
        self.marks.set(high, low, HIGH_WATER)
        self._tls.flush()

    # Ending.

    def is_closing(self) -> bool:
        """True once the connection is closing or closed, by either side."""
        return self._tls.is_closing()

    def close(self) -> None:
        """Send what was written, then tell the peer that this is all. Nothing more is read."""
        self._tls.close()

    def abort(self) -> None:
        """Close at once; what was written and not yet sent is lost."""
        self._tls.abort()

    def _force_close(self, exc: BaseException | None) -> None:
        """Close at once, because of `exc`: asyncio's own TLS, put on this transport, calls it."""
        self._tls.abort(exc)
