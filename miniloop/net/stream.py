"""StreamTransport: bytes in and out of a connected stream socket.

A transport stands between a socket, which is ready or not, and a protocol, which is told when
something has happened. Reading: whenever the socket is readable, read once and tell the protocol;
if there was more, the poller says so again on the next turn, after everybody else has had one.
Writing: send at once, which nearly always succeeds; what does not fit is kept, and sent when the
poller says that there is room.

The life of a transport:

    made ──connection_made──▶ open ──close, EOF──▶ closing ──buffer sent──▶ closed
                                └──abort, error───────────────────────────▶ closed
                                                              each ends in connection_lost, once

Invariants:

1. `_buffer` is empty unless the poller watches the socket for writing.
2. The poller watches it for reading exactly while `is_reading()`, unless EOF has come and the
   protocol keeps the other direction open.
3. `connection_lost` is called once, never from inside a method that the protocol calls, and nothing
   is called after it. `_lost` is true from the moment it is queued.

The trap: every call into a protocol may do anything: close the transport, pause it, or set another
protocol. After such a call nothing that was read into a local variable can be relied on.

Source: PEP 3156, the CPython documentation, "Transports and Protocols".
"""

from __future__ import annotations

import asyncio
import os
import socket
import warnings
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

from miniloop.kernel.report import logger
from miniloop.net.flow_control import WriteMarks

__all__ = ["StreamTransport"]

# Bytes. A read allocates what it asks for, before it knows what there is, and beyond 128 KiB the C
# library maps fresh pages for it: 256 KiB for a message of one cost twelve microseconds more than
# 16 KiB do. So reads begin small, grow fourfold when they come back full, and halve when they come
# back nearly empty.
SMALLEST_READ = 16 * 1024
LARGEST_READ = 128 * 1024

# Writes to a connection that is gone are dropped, as the far end would have; from here on the
# program is told that it does so.
LOST_WRITES_TOLERATED = 5

# The most pieces that one sendmsg(2) takes.
try:
    MOST_PIECES = min(os.sysconf("SC_IOV_MAX"), 1024)
except (ValueError, OSError):
    MOST_PIECES = 16  # the least that POSIX allows

# A tuple made once: `bytes | bytearray` in a call of isinstance makes an object each time.
BYTES_LIKE = (bytes, bytearray, memoryview)

_WOULD_BLOCK = (BlockingIOError, InterruptedError)


class StreamTransport(asyncio.Transport):
    """A transport over a connected, non-blocking stream socket (TCP or Unix)."""

    __slots__ = (
        "__dict__",  # tests of libraries put other methods in the place of ours
        "__weakref__",
        "_buffer",
        "_buffer_size",
        "_buffered_protocol",
        "_closing",
        "_ended",
        "_eof_written",
        "_fd",
        "_flushed",
        "_loop",
        "_lost",
        "_lost_writes",
        "_marks",
        "_paused",
        "_protocol",
        "_read_size",
        "_server",
        "_sock",
        "_started",
    )

    _extra: dict[str, Any]  # asyncio's; behind get_extra_info

    # asyncio.StreamWriter.start_tls and other libraries ask whether loop.start_tls takes us.
    _start_tls_compatible = True

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: Any = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> None:
        """Take over `sock`, and tell `protocol` so on the next turn; then finish `waiter`."""
        super().__init__(extra)
        self._loop = loop
        self._sock: Any = sock
        self._fd = sock.fileno()
        self._server = server
        self._buffer: deque[memoryview] = deque()
        self._buffer_size = 0
        self._marks = WriteMarks(loop, self, protocol)
        self._read_size = SMALLEST_READ
        self._closing = False
        self._paused = False
        self._started = False
        self._ended = False  # the peer has sent its last byte, and the protocol knows
        self._eof_written = False
        self._lost = False
        self._lost_writes = 0
        self._flushed: Any = None  # a future, while sendfile has the socket
        self._describe_socket(sock)
        self.set_protocol(protocol)
        if server is not None:
            server.attach(self)
        loop.transports[self._fd] = self
        loop.call_soon(self._start, waiter)

    def _describe_socket(self, sock: socket.socket) -> None:
        self._extra["socket"] = TransportSocket(sock)
        try:
            self._extra["sockname"] = sock.getsockname()
        except OSError:
            self._extra["sockname"] = None
        if "peername" not in self._extra:
            try:
                self._extra["peername"] = sock.getpeername()
            except OSError:
                self._extra["peername"] = None

    def _start(self, waiter: Any) -> None:
        try:
            self._protocol.connection_made(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._loop.call_exception_handler(
                {
                    "message": "protocol.connection_made() call failed.",
                    "exception": exc,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
        self._started = True
        if not self._closing and not self._paused:
            self._loop.watch_reader(self._fd, self._read_ready)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __repr__(self) -> str:
        state = "closed" if self._sock is None else "closing" if self._closing else "open"
        parts = [type(self).__name__, state, f"fd={self._fd}"]
        if self._sock is not None and not self._loop.is_closed():
            parts.append("reading" if self.is_reading() else "not reading")
            parts.append(f"write buffer={self.get_write_buffer_size()}")
        return f"<{' '.join(parts)}>"

    def __del__(self) -> None:
        if self._sock is not None:
            warnings.warn(
                f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2
            )
            self._sock.close()
            if self._server is not None:
                self._server.detach(self)

    # The protocol.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from now on."""
        self._protocol: Any = protocol
        self._marks.protocol = protocol
        self._buffered_protocol = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is told of what happens."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # Reading.

    def is_reading(self) -> bool:
        """True unless reading is paused, or the transport is closing."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Stop reading until `resume_reading`: the peer will be held up by the kernel."""
        if not self.is_reading():
            return
        self._paused = True
        self._loop.unwatch_reader(self._fd)

    def resume_reading(self) -> None:
        """Read again."""
        if self._closing or not self._paused:
            return
        self._paused = False
        if self._started and not self._ended:
            self._loop.watch_reader(self._fd, self._read_ready)

    def _read_ready(self) -> None:
        if self._lost:
            return
        if self._buffered_protocol:
            self._read_into_buffer()
            return
        size = self._read_size
        try:
            data = self._sock.recv(size)
        except _WOULD_BLOCK:
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fail(exc, "Fatal read error on socket transport")
            return
        count = len(data)
        if not count:
            self._eof_received()
            return
        if count == size:
            self._read_size = min(size * 4, LARGEST_READ)
        elif count < size >> 3 and size > SMALLEST_READ:
            self._read_size = size >> 1
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fail(exc, "Fatal error: protocol.data_received() call failed.")

    def _read_into_buffer(self) -> None:
        try:
            buffer = self._protocol.get_buffer(-1)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fail(exc, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            count = self._sock.recv_into(buffer)
        except _WOULD_BLOCK:
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fail(exc, "Fatal read error on socket transport")
            return
        if not count:
            self._eof_received()
            return
        try:
            self._protocol.buffer_updated(count)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fail(exc, "Fatal error: protocol.buffer_updated() call failed.")

    def _eof_received(self) -> None:
        self._ended = True
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fail(exc, "Fatal error: protocol.eof_received() call failed.")
            return
        if keep_open:
            # There will be nothing more to read, and the poller would say so on every turn.
            self._loop.unwatch_reader(self._fd)
        else:
            self.close()

    # Writing.

    def write(self, data: Any) -> None:
        """Send `data` (bytes, bytearray or memoryview), now or as soon as there is room.

        Raises TypeError for other types, RuntimeError after `write_eof` or during `sendfile`.
        """
        if not isinstance(data, BYTES_LIKE):
            raise TypeError(
                "data argument must be a bytes-like object (bytes, bytearray or memoryview), "
                f"not {type(data).__name__!r}"
            )
        if self._eof_written or self._flushed is not None:
            self._refuse_write()
        if not data:
            return
        if self._lost:
            self._count_lost_write()
            return
        if not self._buffer:
            try:
                sent = self._sock.send(data)
            except _WOULD_BLOCK:
                sent = 0
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fail(exc, "Fatal write error on socket transport")
                return
            if sent == len(data) and type(data) is not memoryview:
                return
            # The length of a view is in items, and what was sent is in bytes.
            rest = memoryview(data).cast("B")[sent:]
            if not rest:
                return
            self._keep(rest)
            self._loop.watch_writer(self._fd, self._write_ready)
        else:
            self._keep(data)
        self._marks.grown(self._buffer_size)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send several pieces, in one system call where there is room for them."""
        if self._eof_written or self._flushed is not None:
            self._refuse_write()
        if self._lost:
            self._count_lost_write()
            return
        idle = not self._buffer
        # All of them before any is kept: one may be refused.
        pieces = [piece for piece in map(_piece, list_of_data) if piece]
        if not pieces:
            return
        self._buffer.extend(pieces)
        self._buffer_size += sum(map(len, pieces))
        if idle:
            self._send_buffer()
            # Sending may have failed, and dropped it all.
            if self._buffer:
                self._loop.watch_writer(self._fd, self._write_ready)
        self._marks.grown(self._buffer_size)

    def _refuse_write(self) -> None:
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        raise RuntimeError("unable to write; sendfile is in progress")

    def _count_lost_write(self) -> None:
        self._lost_writes += 1
        if self._lost_writes > LOST_WRITES_TOLERATED:
            logger.warning("socket.send() raised exception.")

    def _keep(self, data: Any) -> None:
        piece = _piece(data)
        self._buffer.append(piece)
        self._buffer_size += len(piece)

    def _send_buffer(self) -> None:
        """Send as much of the buffer as the kernel takes in one call."""
        buffer = self._buffer
        try:
            if len(buffer) == 1:
                sent = self._sock.send(buffer[0])
            else:
                sent = self._sock.sendmsg(list(islice(buffer, MOST_PIECES)))
        except _WOULD_BLOCK:
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fail(exc, "Fatal write error on socket transport")
            return
        self._buffer_size -= sent
        while sent:
            first = buffer.popleft()
            if sent < len(first):
                buffer.appendleft(first[sent:])
                return
            sent -= len(first)

    def _write_ready(self) -> None:
        self._send_buffer()
        if self._lost:
            return
        if not self._buffer:
            self._loop.unwatch_writer(self._fd)
        self._marks.shrunk(self._buffer_size)  # may call back, and so write
        if self._buffer:
            return
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)
        if self._closing:
            self._lose(None)
        elif self._eof_written:
            self._sock.shutdown(socket.SHUT_WR)

    def write_eof(self) -> None:
        """Finish sending, once all is sent; reading goes on."""
        if self._closing or self._eof_written:
            return
        self._eof_written = True
        if not self._buffer:
            self._sock.shutdown(socket.SHUT_WR)

    def can_write_eof(self) -> bool:
        """True: a socket can be closed in one direction."""
        return True

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be sent."""
        return self._buffer_size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high water mark, in bytes."""
        return self._marks.low, self._marks.high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, in bytes: see `WriteMarks.set`."""
        self._marks.set(high, low)
        self._marks.grown(self._buffer_size)

    # For sendfile, which writes to the socket itself.

    def lend_socket(self) -> Any:
        """Refuse writes from now on. Returns a future that is done once all before it is sent."""
        if self._flushed is not None:
            raise RuntimeError("Empty waiter is already set")
        self._flushed = self._loop.create_future()
        if not self._buffer:
            self._flushed.set_result(None)
        return self._flushed

    def wait_for_room(self) -> Any:
        """A future that is done once the lent socket has room, and fails if it is closed before."""
        self._flushed = self._loop.create_future()
        if self._lost:
            self._flushed.set_exception(ConnectionError("Connection is closed by peer"))
        else:
            self._loop.watch_writer(self._fd, self._has_room)
        return self._flushed

    def _has_room(self) -> None:
        self._loop.unwatch_writer(self._fd)
        if not self._flushed.done():
            self._flushed.set_result(None)

    def take_socket_back(self) -> None:
        """Accept writes again."""
        self._flushed = None
        if not self._buffer and not self._lost:
            self._loop.unwatch_writer(self._fd)  # it may still be watched by `wait_for_room`

    # Ending.

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Send what is buffered, then close. Nothing more is read."""
        if self._closing:
            return
        self._closing = True
        self._loop.unwatch_reader(self._fd)
        if not self._buffer:
            self._lose(None)

    def abort(self) -> None:
        """Close at once; what is buffered is lost."""
        self._drop(None)

    def _fail(self, exc: BaseException, message: str) -> None:
        if isinstance(exc, OSError):
            # A connection that breaks is everyday life; the protocol is told, and that is enough.
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self._loop.call_exception_handler(
                {
                    "message": message,
                    "exception": exc,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
        self._drop(exc)

    def _drop(self, exc: BaseException | None) -> None:
        if self._lost:
            return
        self._buffer.clear()
        self._buffer_size = 0
        if not self._closing:
            self._closing = True
            self._loop.unwatch_reader(self._fd)
        self._loop.unwatch_writer(self._fd)
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._loop.unwatch_writer(self._fd)
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_exception(ConnectionError("Connection is closed by peer"))
        self._loop.call_soon(self._finish, exc)

    def _finish(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._sock.close()
            self._sock = None
            self._protocol = None
            self._marks.forget()
            server, self._server = self._server, None
            if server is not None:
                server.detach(self)


def _piece(data: Any) -> memoryview:
    """The bytes of `data`, to be sent later. Raises TypeError for what has none."""
    piece = memoryview(data).cast("B")
    # Its owner may change it, or the size of a bytearray, as soon as we return.
    if not piece.readonly or isinstance(piece.obj, bytearray):
        piece = memoryview(bytes(piece))
    return piece
