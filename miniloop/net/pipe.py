"""Pipes: bytes that flow one way, through a descriptor that is no socket.

A pipe, a FIFO, a terminal, or one direction of a Unix socket: whatever the kernel can tell "ready"
of. (Of a regular file it cannot, and refuses.) A transport for each direction: `ReadPipeTransport`
reads what comes until the end, `WritePipeTransport` sends, and keeps what the pipe has no room for.

The life of each:

    made ──connection_made──▶ open ──close──▶ closing ──buffer written──▶ closed
                                └──end of file, error, abort────────────▶ closed
                                                      each ends in connection_lost, once

Invariants:

1. The descriptor is non-blocking from the start. (That is a property of the open file and not of
   the descriptor, so other processes that share it, as they do a terminal, feel it too.)
2. `_buffer` is empty unless the poller watches the descriptor for writing.
3. `_lost` is true from the moment when `connection_lost` is queued. After it nothing is called.

The trap: a writer learns that its reader is gone from a failing write, and one that has nothing to
write would never learn it. So the writing end is watched for *reading*: nobody can read there, but
the kernel reports there that the reader has gone away.

Source: PEP 3156; the CPython documentation, "Transports and Protocols"; pipe(7), fifo(7).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
import sys
import warnings
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from miniloop.kernel.report import logger
from miniloop.net.flow_control import WriteMarks

__all__ = [
    "ReadPipeTransport",
    "WritePipeTransport",
    "connect_read_pipe",
    "connect_write_pipe",
]

# Bytes. What a Linux pipe holds unless told otherwise: one read empties it.
READ_SIZE = 64 * 1024

# Writes to a reader that is gone are dropped; from here on the program is told that it does so.
LOST_WRITES_TOLERATED = 5

# The most pieces that one writev(2) takes.
try:
    MOST_PIECES = min(os.sysconf("SC_IOV_MAX"), 1024)
except (ValueError, OSError):
    MOST_PIECES = 16  # the least that POSIX allows

_BYTES_LIKE = (bytes, bytearray, memoryview)
_WOULD_BLOCK = (BlockingIOError, InterruptedError)


async def connect_read_pipe(
    loop: Any, protocol_factory: Callable[[], Any], pipe: Any
) -> tuple[ReadPipeTransport, Any]:
    """Read from `pipe`, a file object, which the transport then owns and closes.

    Raises ValueError if it is none of a pipe, a socket and a character device.
    """
    protocol = protocol_factory()
    connected = loop.create_future()
    transport = ReadPipeTransport(loop, pipe, protocol, connected)
    await _connected(transport, connected)
    return transport, protocol


async def connect_write_pipe(
    loop: Any, protocol_factory: Callable[[], Any], pipe: Any
) -> tuple[WritePipeTransport, Any]:
    """Write to `pipe`, a file object, which the transport then owns and closes.

    Raises ValueError if it is none of a pipe, a socket and a character device.
    """
    protocol = protocol_factory()
    connected = loop.create_future()
    transport = WritePipeTransport(loop, pipe, protocol, connected)
    await _connected(transport, connected)
    return transport, protocol


async def _connected(transport: _PipeEnd, connected: Any) -> None:
    try:
        await connected
    except BaseException:
        transport.close()
        raise
    if transport._loop.get_debug():
        logger.debug("connected %r", transport)


class _PipeEnd(asyncio.BaseTransport):
    """What both directions share: a file, a protocol, and an end."""

    _pipe: Any = None  # so that `__del__` works on what `__init__` refused

    def __init__(self, loop: Any, pipe: Any, protocol: Any, waiter: Any) -> None:
        super().__init__({"pipe": pipe})
        self._loop = loop
        self._fd: int = pipe.fileno()
        self._mode = os.fstat(self._fd).st_mode
        if not (stat.S_ISFIFO(self._mode) or stat.S_ISSOCK(self._mode) or stat.S_ISCHR(self._mode)):
            raise ValueError(
                "Pipe transport is only for pipes, sockets and character devices, "
                f"got {pipe!r}: read and write regular files in an executor"
            )
        os.set_blocking(self._fd, False)
        self._pipe = pipe
        self._protocol: Any = protocol
        self._closing = False
        self._lost = False
        loop.call_soon(self._start, waiter)

    def _start(self, waiter: Any) -> None:
        try:
            self._protocol.connection_made(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.connection_made() call failed.")
        try:
            if not self._closing:
                self._watch()
        except Exception as exc:  # the kernel has no room for one more watch
            if waiter is None or waiter.done():
                raise
            waiter.set_exception(exc)
        else:
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def _watch(self) -> None:
        """Begin to watch the descriptor, once the protocol knows its transport."""
        raise NotImplementedError

    def _state(self) -> str:
        return "closed" if self._pipe is None else "closing" if self._closing else "open"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state()} fd={self._fd}>"

    def __del__(self) -> None:
        if self._pipe is not None:
            warnings.warn(
                f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2
            )
            self._pipe.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is told of what happens."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closing

    def _lose(self, exc: BaseException | None) -> None:
        """Stop all watching, and tell the protocol on the next turn."""
        if self._lost:
            return
        self._lost = self._closing = True
        self._loop.unwatch_reader(self._fd)
        self._loop.unwatch_writer(self._fd)
        if self._loop.is_closed():
            self._close_pipe()  # there is no next turn in which to tell anybody
        else:
            self._loop.call_soon(self._finish, exc)

    def _finish(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._close_pipe()

    def _close_pipe(self) -> None:
        self._pipe.close()
        self._pipe = None
        self._protocol = None

    def _report(self, exc: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": exc,
                "transport": self,
                "protocol": self._protocol,
            }
        )


class ReadPipeTransport(_PipeEnd, asyncio.ReadTransport):
    """The reading end of a pipe."""

    def __init__(self, loop: Any, pipe: Any, protocol: Any, waiter: Any = None) -> None:
        """Take over `pipe`, and tell `protocol` so on the next turn; then finish `waiter`."""
        self._paused = False
        self._started = False
        super().__init__(loop, pipe, protocol, waiter)

    def _watch(self) -> None:
        self._started = True
        if not self._paused:
            self._loop.watch_reader(self._fd, self._read_ready)

    def is_reading(self) -> bool:
        """True unless reading is paused, or the transport is closing."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Stop reading until `resume_reading`: the writer will be held up by a full pipe."""
        if not self.is_reading():
            return
        self._paused = True
        self._loop.unwatch_reader(self._fd)

    def resume_reading(self) -> None:
        """Read again."""
        if self._closing or not self._paused:
            return
        self._paused = False
        if self._started:
            self._loop.watch_reader(self._fd, self._read_ready)

    def _read_ready(self) -> None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except _WOULD_BLOCK:
            return
        except OSError as exc:
            self._fail(exc)
            return
        if data:
            self._protocol.data_received(data)
            return
        if self._loop.get_debug():
            logger.info("%r: end of file", self)
        # Closed from here on, whatever the protocol answers: nothing flows in the other direction.
        self._closing = True
        self._loop.unwatch_reader(self._fd)
        self._loop.call_soon(self._protocol.eof_received)
        self._lose(None)

    def _fail(self, exc: OSError) -> None:
        # A terminal says EIO when its other side is closed: the way of terminals to say the end.
        if exc.errno != errno.EIO:
            self._report(exc, "Fatal read error on pipe transport")
        elif self._loop.get_debug():
            logger.debug("%r: the terminal was closed", self, exc_info=True)
        self._lose(exc)

    def close(self) -> None:
        """Close; nothing more is read."""
        if not self._closing:
            self._lose(None)


class WritePipeTransport(_PipeEnd, asyncio.WriteTransport):
    """The writing end of a pipe."""

    def __init__(self, loop: Any, pipe: Any, protocol: Any, waiter: Any = None) -> None:
        """Take over `pipe`, and tell `protocol` so on the next turn; then finish `waiter`."""
        self._buffer: deque[Any] = deque()
        self._size = 0  # bytes in the buffer
        self._lost_writes = 0
        super().__init__(loop, pipe, protocol, waiter)
        self._marks = WriteMarks(loop, self, protocol)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]} write buffer={self._size}>"

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from now on."""
        super().set_protocol(protocol)
        self._marks.protocol = protocol

    # The reader at the other end.

    def _watch(self) -> None:
        if self._tells_of_its_reader():
            self._loop.watch_reader(self._fd, self._reader_gone)

    def _tells_of_its_reader(self) -> bool:
        """Whether readability here means that the reader is gone: see the trap, above."""
        if stat.S_ISSOCK(self._mode):
            return True
        # A FIFO opened for both directions is readable when somebody has written to it.
        writes_only = fcntl.fcntl(self._fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
        return stat.S_ISFIFO(self._mode) and writes_only and not sys.platform.startswith("aix")

    def _reader_gone(self) -> None:
        if stat.S_ISSOCK(self._mode) and self._peer_has_written():
            # Not gone but talking, to nobody. It would be readable for ever; a write will tell.
            self._loop.unwatch_reader(self._fd)
            return
        if self._loop.get_debug():
            logger.info("%r was closed by its reader", self)
        self._drop(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) if self._buffer else None)

    def _peer_has_written(self) -> bool:
        peer = socket.socket(fileno=os.dup(self._fd))
        try:
            return bool(peer.recv(1, socket.MSG_PEEK))
        except _WOULD_BLOCK:
            return True  # a false alarm
        except OSError:
            return False
        finally:
            peer.close()

    # Writing.

    def write(self, data: Any) -> None:
        """Write `data` (bytes, bytearray or memoryview), now or as soon as there is room.

        Raises TypeError for other types.
        """
        if not isinstance(data, _BYTES_LIKE):
            raise TypeError(
                "data argument must be a bytes-like object (bytes, bytearray or memoryview), "
                f"not {type(data).__name__!r}"
            )
        if not data:
            return
        if self._closing:
            self._count_lost_write()
            return
        view = memoryview(data).cast("B")
        if not self._buffer:
            try:
                written = os.write(self._fd, view)
            except _WOULD_BLOCK:
                written = 0
            except OSError as exc:
                self._fail(exc)
                return
            if written == len(view):
                return
            view = view[written:]
            self._loop.watch_writer(self._fd, self._write_ready)
        # A bytearray may be changed by its owner as soon as we return, and so may what it backs.
        self._buffer.append(view if isinstance(view.obj, bytes) else bytes(view))
        self._size += len(view)
        self._marks.grown(self._size)

    def _count_lost_write(self) -> None:
        self._lost_writes += 1
        if self._lost_writes > LOST_WRITES_TOLERATED:
            logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")

    def _write_ready(self) -> None:
        buffer = self._buffer
        try:
            if len(buffer) == 1:
                written = os.write(self._fd, buffer[0])
            else:
                written = os.writev(self._fd, list(islice(buffer, MOST_PIECES)))
        except _WOULD_BLOCK:
            return
        except OSError as exc:
            self._fail(exc)
            return
        self._size -= written
        while written:
            first = buffer.popleft()
            if written < len(first):
                buffer.appendleft(memoryview(first)[written:])
                break
            written -= len(first)
        if not buffer:
            self._loop.unwatch_writer(self._fd)
        self._marks.shrunk(self._size)  # may call back, and so write
        if self._closing and not self._buffer:
            self._lose(None)

    def write_eof(self) -> None:
        """Close once all is written: a pipe has no other direction to keep open."""
        self.close()

    def can_write_eof(self) -> bool:
        """True: closing the pipe is the end of file for its reader."""
        return True

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be written."""
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high water mark, in bytes."""
        return self._marks.low, self._marks.high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, in bytes: see `WriteMarks.set`."""
        self._marks.set(high, low)
        self._marks.grown(self._size)

    # Ending.

    def close(self) -> None:
        """Write what is buffered, then close."""
        if self._closing:
            return
        self._closing = True
        if not self._buffer:
            self._lose(None)

    def abort(self) -> None:
        """Close at once; what is buffered is lost."""
        self._drop(None)

    def _fail(self, exc: OSError) -> None:
        # A reader that goes away is everyday life; the protocol is told, and that is enough.
        if self._loop.get_debug():
            logger.debug("%r: Fatal write error on pipe transport", self, exc_info=True)
        self._drop(exc)

    def _drop(self, exc: BaseException | None) -> None:
        self._buffer.clear()
        self._size = 0
        self._lose(exc)

    def _close_pipe(self) -> None:
        super()._close_pipe()
        self._marks.forget()
