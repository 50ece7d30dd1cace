"""StreamTransport: bytes in and out of a connected stream socket.

A transport stands between a socket, which is ready or not, and a protocol, which is told when
something has happened. Reading: whenever the socket is readable, read once and tell the protocol;
if there was more, the poller says so again on the next turn, after everybody else has had a turn.
Writing: send at once, which nearly always succeeds; what does not fit is kept, and sent when the
poller says that there is room.

How it begins and ends is told in `descriptor_transport`.

Invariants:

1. `_buffer` is empty unless the poller watches the socket for writing.
2. The poller watches it for reading exactly while `is_reading()`, unless EOF has come and the
   protocol keeps the other direction open.

The trap: every call into a protocol may do anything: close the transport, pause it, or set another
protocol. After such a call nothing that was read into a local variable can be relied on.

Source: PEP 3156, the CPython documentation, "Transports and Protocols".
"""

from __future__ import annotations

import asyncio
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Iterable
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.exits import EXITS, raise_exit, was_told
from miniloop.kernel.report import logger
from miniloop.net.descriptor_transport import ReadableTransport, WritableTransport
from miniloop.net.nonblocking import WOULD_BLOCK
from miniloop.net.ownership import take
from miniloop.net.unread import MOST_DROPPED, drop, stream_reader_is_full
from miniloop.net.write_buffer import BYTES_LIKE, WriteBuffer, as_piece, refusal

__all__ = ["StreamTransport"]

# Bytes. A read allocates what it asks for, before it knows what there is, and beyond 128 KiB the C
# library maps fresh pages for it: 256 KiB for a message of one cost twelve microseconds more than
# 16 KiB do. So reads begin small, grow fourfold when they come back full, and halve when they come
# back nearly empty.
SMALLEST_READ = 16 * 1024
LARGEST_READ = 128 * 1024


class StreamTransport(ReadableTransport, WritableTransport, asyncio.Transport):
    """A transport over a connected, non-blocking stream socket (TCP or Unix)."""

    __slots__ = (
        "_buffer",
        "_buffered_protocol",
        "_eof_written",
        "_flushed",
        "_left_to_drop",
        "_read_size",
        "_server",
    )
    global __static_attributes__  # as in Future: 70 bytes less on CPython 3.14

    # asyncio.StreamWriter.start_tls and other libraries ask whether loop.start_tls takes us.
    _start_tls_compatible = True

    def __init__(
        self,
        loop: CompleteLoop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: Any = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> None:
        """Take over `sock`. On the next turn call `connection_made`, then finish `waiter`."""
        self._server = server
        self._buffer = WriteBuffer()
        self._read_size = SMALLEST_READ
        self._eof_written = False
        self._flushed: Any = None  # a future, while sendfile has the socket
        super().__init__(loop, sock, protocol, extra)
        self._describe_socket(sock)
        if server is not None:
            server.attach(self)
        take(loop, self._fd, self)
        self._begin(waiter)

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

    def _describe(self) -> list[str]:
        return [*super()._describe(), "reading" if self.is_reading() else "not reading"]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from now on."""
        super().set_protocol(protocol)
        self._ended = False  # this one does not know, and is told if it reads on after a pause
        self._buffered_protocol = isinstance(protocol, asyncio.BufferedProtocol)

    # Reading.

    def _read_ready(self) -> None:
        if self._lost:
            return
        if self._buffered_protocol:
            self._read_into_buffer()
            return
        size = self._read_size
        try:
            try:
                data = self._file.recv(size)
            except WOULD_BLOCK:
                return
            except BaseException as exc:
                self._fail(exc, "Fatal read error on socket transport")
                return
            count = len(data)
            if count:
                if count == size:
                    self._read_size = min(size * 4, LARGEST_READ)
                elif size > SMALLEST_READ and count < size >> 3:
                    self._read_size = size >> 1
                try:
                    self._protocol.data_received(data)
                except BaseException as exc:
                    self._fail(exc, "Fatal error: protocol.data_received() call failed.")
                return
        except EXITS as exc:
            self._interrupted(exc)
            raise
        self._eof_received()

    def _read_into_buffer(self) -> None:
        try:
            buffer = self._protocol.get_buffer(-1)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
        except BaseException as exc:
            self._fail(exc, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            try:
                count = self._file.recv_into(buffer)
            except WOULD_BLOCK:
                return
            except BaseException as exc:
                self._fail(exc, "Fatal read error on socket transport")
                return
            if count:
                try:
                    self._protocol.buffer_updated(count)
                except BaseException as exc:
                    self._fail(exc, "Fatal error: protocol.buffer_updated() call failed.")
                return
        except EXITS as exc:
            self._interrupted(exc)
            raise
        self._eof_received()

    def _eof_received(self) -> None:
        keep_open = False
        if not self._ended:  # or Ctrl-C has struck when it had been told
            try:
                self._ended = True
                keep_open = self._protocol.eof_received()
            except EXITS as exc:
                self._ended = was_told(exc, self._protocol)
                raise
            except BaseException as exc:
                self._fail(exc, "Fatal error: protocol.eof_received() call failed.")
                return
        # If it is kept open, stop watching: the poller would report the end on every turn.
        act = self._unwatch_reader if keep_open else self.close
        try:
            act()
        except EXITS:
            act()
            raise

    # Writing.

    def write(self, data: Any) -> None:
        """Send `data` (bytes, bytearray or memoryview), now or as soon as there is room.

        Raises TypeError for other types, RuntimeError after `write_eof` or during `sendfile`.
        """
        if type(data) is not bytes and not isinstance(data, BYTES_LIKE):
            raise refusal(data)
        if self._eof_written or self._flushed is not None:
            self._refuse_write()
        if not data:
            return
        if self._lost:
            self._count_lost_write()
            return
        try:
            if not self._buffer.size:
                try:
                    sent = self._file.send(data)
                except WOULD_BLOCK:
                    sent = 0
                except BaseException as exc:
                    self._fail(exc, "Fatal write error on socket transport")
                    return
                if sent == len(data) and type(data) is not memoryview:
                    return
                # The length of a view is in items, and what was sent is in bytes.
                rest = memoryview(data).cast("B")[sent:]
                if not rest:
                    return
                self._buffer.add(rest)
                self._watch_writer(self._write_ready)  # this may fail, and drop it all
            else:
                self._buffer.add(data)
        except EXITS as exc:
            self._interrupted(exc)
            raise
        self._marks.grown(self._buffer.size)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send several pieces, in one system call where there is room for them."""
        if self._eof_written or self._flushed is not None:
            self._refuse_write()
        if self._lost:
            self._count_lost_write()
            return
        buffer = self._buffer
        idle = not buffer.size
        # All of them before any is kept: one may be refused.
        pieces = [as_piece(data) for data in list_of_data]
        try:
            for piece in pieces:
                buffer.add_piece(piece)
            if idle and buffer.size:
                self._send_buffer()
                # Sending may have failed, and dropped it all.
                if buffer.size:
                    self._watch_writer(self._write_ready)
        except EXITS as exc:
            self._interrupted(exc)
            raise
        self._marks.grown(buffer.size)

    def _refuse_write(self) -> None:
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        raise RuntimeError("unable to write; sendfile is in progress")

    def _send_buffer(self) -> None:
        """Send as much of the buffer as the kernel takes in one call."""
        try:
            self._buffer.flush(self._file.send, self._file.sendmsg)
        except WOULD_BLOCK:
            return
        except BaseException as exc:
            self._fail(exc, "Fatal write error on socket transport")

    def _write_ready(self) -> None:
        if self._buffer.size:
            try:
                self._send_buffer()
            except EXITS as exc:
                self._interrupted(exc)
                raise
        if self._lost:
            return
        self._marks.shrunk(self._buffer.size)  # may call back, and so write
        if self._buffer.size or self._lost:
            return
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)
        if self._closing:
            self._finish_reading()
            self._lose(None)
            return
        if self._eof_written:
            try:
                self._file.shutdown(socket.SHUT_WR)
            except OSError as exc:
                # The call of `write_eof` has returned, so it cannot raise this, and the peer would
                # wait for an end of file that never comes.
                self._fail(exc, "Fatal error: the socket cannot be shut down")
                return
        # Last of all. If Ctrl-C strikes before, this is called again.
        self._unwatch_writer()

    def write_eof(self) -> None:
        """Finish sending, once all is sent; reading goes on.

        Raises OSError if that is now, and the connection is gone.
        """
        if self._closing or self._eof_written:
            return
        self._eof_written = True
        if not self._buffer.size:
            self._file.shutdown(socket.SHUT_WR)

    def can_write_eof(self) -> bool:
        """True: a socket can be closed in one direction."""
        return True

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be sent."""
        return self._buffer.size

    # For sendfile, which writes to the socket itself.

    def lend_socket(self) -> Any:
        """Refuse writes from now on. Returns a future that is done once all before it is sent."""
        if self._flushed is not None:
            raise RuntimeError("Empty waiter is already set")
        self._flushed = self._loop.create_future()
        if not self._buffer.size:
            self._flushed.set_result(None)
        return self._flushed

    def wait_for_room(self) -> Any:
        """A future that is done once the lent socket has room, and fails if it is closed before."""
        self._flushed = self._loop.create_future()
        if self._lost:
            self._flushed.set_exception(ConnectionError("Connection is closed by peer"))
        else:
            self._watch_writer(self._has_room)
        return self._flushed

    def _has_room(self) -> None:
        self._unwatch_writer()
        if not self._flushed.done():
            self._flushed.set_result(None)

    def take_socket_back(self) -> None:
        """Accept writes again."""
        self._flushed = None
        if not self._buffer.size and not self._lost:
            self._unwatch_writer()  # it may still be watched by `wait_for_room`

    # Ending.

    def close(self) -> None:
        """Send what is buffered, then close. Nothing more is read."""
        if self._closing:
            return
        self._closing = True
        try:
            if not self._buffer.size:
                self._finish_reading()
                self._lose(None)
            elif self._may_drop_input():
                self._left_to_drop = MOST_DROPPED
                try:
                    self._watch_reader(self._drop_input)
                except OSError as exc:
                    self._drop(exc)  # the kernel does not watch it any more
            else:
                self._unwatch_reader()
        except EXITS:
            if not self._buffer.size:
                self._lose(None)
            raise

    def _may_drop_input(self) -> bool:
        """Whether nobody wants what the peer has sent and we have not read: see `unread`.

        If the program has paused reading, the data is left where it is: the pause is meant to hold
        up the peer, or another process reads from the same socket. But a StreamReader that paused
        because it is full wants nothing of it.
        """
        return not self._ended and (not self._paused or stream_reader_is_full(self._protocol))

    def _drop_input(self) -> None:
        """The peer sends while we send our last."""
        self._left_to_drop = drop(self._file, self._left_to_drop)
        if not self._left_to_drop:
            self._unwatch_reader()

    def _finish_reading(self) -> None:
        """Before the socket is closed, take what the peer has sent."""
        if self._may_drop_input():
            drop(self._file, MOST_DROPPED)

    def abort(self) -> None:
        """Close at once; what is buffered is lost."""
        self._drop(None)

    def _force_close(self, exc: BaseException | None) -> None:
        """Close at once, because of `exc`: asyncio's own TLS, put on this transport, calls it."""
        self._drop(exc)

    def _fail(self, exc: BaseException, message: str) -> None:
        raise_exit(exc)
        if isinstance(exc, OSError):
            # Connections break all the time. The protocol is told; there is no need to log it.
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self._report(exc, message)
        self._drop(exc)

    def _drop(self, exc: BaseException | None) -> None:
        self._buffer.clear()
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_exception(ConnectionError("Connection is closed by peer"))
        super()._lose(exc)

    def _release(self) -> None:
        try:
            super()._release()
        finally:
            if self._server is not None:
                self._server.detach(self)
                self._server = None  # only now: see `repeatable`
