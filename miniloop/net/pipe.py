"""Pipes: bytes that flow one way, through a descriptor that is no socket.

A pipe, a FIFO, a terminal, or one direction of a Unix socket: all that the kernel can watch. (It
refuses regular files.) There is a transport for each direction: `ReadPipeTransport`
reads what comes until the end, `WritePipeTransport` sends, and keeps what the pipe has no room for.

How each begins and ends is told in `descriptor_transport`.

Invariants:

1. The descriptor is non-blocking from the start. (That is a property of the open file and not of
   the descriptor. So other processes that share it, such as a terminal, are affected.)
2. `_buffer` is empty unless the poller watches the descriptor for writing.

The trap: a writer learns that its reader is gone from a failing write, and one that has nothing to
write would never learn it. So the writing end is watched for *reading*: there is nothing to read,
but that is how the kernel reports that the reader has gone away.

Source: PEP 3156; the CPython documentation, "Transports and Protocols"; pipe(7), fifo(7).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.exits import EXITS
from miniloop.kernel.report import logger
from miniloop.net.descriptor_transport import (
    DescriptorTransport,
    ReadableTransport,
    WritableTransport,
)
from miniloop.net.nonblocking import WOULD_BLOCK
from miniloop.net.ownership import refuse_owned
from miniloop.net.write_buffer import BYTES_LIKE, WriteBuffer, refusal

__all__ = [
    "ReadPipeTransport",
    "WritePipeTransport",
    "connect_read_pipe",
    "connect_write_pipe",
]

P = TypeVar("P", bound=asyncio.BaseProtocol)

# Bytes. What a Linux pipe holds unless told otherwise: one read empties it.
READ_SIZE = 64 * 1024


async def connect_read_pipe(
    loop: CompleteLoop, protocol_factory: Callable[[], P], pipe: Any
) -> tuple[ReadPipeTransport, P]:
    """Read from `pipe`, a file object, which the transport then owns and closes.

    Raises ValueError if it is none of a pipe, a socket and a character device.
    """
    protocol = protocol_factory()
    connected = loop.create_future()
    transport = ReadPipeTransport(loop, pipe, protocol, connected)
    await _connected(transport, connected)
    return transport, protocol


async def connect_write_pipe(
    loop: CompleteLoop, protocol_factory: Callable[[], P], pipe: Any
) -> tuple[WritePipeTransport, P]:
    """Write to `pipe`, a file object, which the transport then owns and closes.

    Raises ValueError if it is none of a pipe, a socket and a character device.
    """
    protocol = protocol_factory()
    connected = loop.create_future()
    transport = WritePipeTransport(loop, pipe, protocol, connected)
    await _connected(transport, connected)
    return transport, protocol


async def _connected(transport: DescriptorTransport, connected: Any) -> None:
    try:
        await connected
    except BaseException:
        transport.close()
        raise
    if transport._loop.get_debug():
        logger.debug("connected %r", transport)


def _take_over(loop: CompleteLoop, pipe: Any) -> None:
    """Make the pipe non-blocking. Raises ValueError if it is none, RuntimeError if it has an owner.

    Both directions of a socket may be pipes, so pipes do not own their descriptors.
    """
    refuse_owned(loop, pipe.fileno(), pipe)
    mode = os.fstat(pipe.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
        raise ValueError(
            "Pipe transport is only for pipes, sockets and character devices, "
            f"got {pipe!r}: read and write regular files in an executor"
        )
    os.set_blocking(pipe.fileno(), False)


class PipeTransport(DescriptorTransport):
    """What both ends have: the names under which programs look for the pipe in asyncio's."""

    __slots__ = ()

    @property
    def _pipe(self) -> Any:
        return self._file

    @_pipe.setter
    def _pipe(self, pipe: Any) -> None:
        self._file = pipe  # None: somebody else closes it, as on asyncio

    @property
    def _fileno(self) -> int:
        return self._fd


class ReadPipeTransport(ReadableTransport, PipeTransport, asyncio.ReadTransport):
    """The reading end of a pipe."""

    def __init__(self, loop: CompleteLoop, pipe: Any, protocol: Any, waiter: Any = None) -> None:
        """Take over `pipe`, and tell `protocol` so on the next turn; then finish `waiter`."""
        _take_over(loop, pipe)
        super().__init__(loop, pipe, protocol, {"pipe": pipe})
        self._begin(waiter)

    def _read_ready(self) -> None:
        try:
            try:
                data = os.read(self._fd, READ_SIZE)
            except WOULD_BLOCK:
                return
            except OSError as exc:
                self._fail(exc)
                return
            if data:
                self._protocol.data_received(data)
                return
        except EXITS as exc:
            self._interrupted(exc)
            raise
        if self._loop.get_debug():
            logger.info("%r: end of file", self)
        # Closed from here on, whatever the protocol answers: nothing flows in the other direction.
        self._closing = True
        self._loop.call_soon(self._protocol.eof_received, context=self._context)
        self._lose(None)

    def _fail(self, exc: OSError) -> None:
        # A terminal fails with EIO when its other side is closed. That is its end of file.
        if exc.errno != errno.EIO:
            self._report(exc, "Fatal read error on pipe transport")
        elif self._loop.get_debug():
            logger.debug("%r: the terminal was closed", self, exc_info=True)
        self._lose(exc)

    def close(self) -> None:
        """Close; nothing more is read."""
        if not self._closing:
            self._lose(None)


class WritePipeTransport(WritableTransport, PipeTransport, asyncio.Transport):
    """The writing end of a pipe.

    As asyncio's it is an `asyncio.Transport`, although there is nothing to read: `pause_reading`,
    `resume_reading` and `is_reading` raise NotImplementedError.
    """

    _lost_write_warning = "pipe closed by peer or os.write(pipe, data) raised exception."

    def __init__(self, loop: CompleteLoop, pipe: Any, protocol: Any, waiter: Any = None) -> None:
        """Take over `pipe`, and tell `protocol` so on the next turn; then finish `waiter`."""
        _take_over(loop, pipe)
        self._buffer = WriteBuffer()
        self._mode = os.fstat(pipe.fileno()).st_mode
        super().__init__(loop, pipe, protocol, {"pipe": pipe})
        self._begin(waiter)

    # The reader at the other end.

    def _watch(self) -> None:
        if self._tells_of_its_reader():
            self._watch_reader(self._reader_gone)

    def _tells_of_its_reader(self) -> bool:
        """Whether readability here means that the reader is gone: see the trap, above."""
        if stat.S_ISSOCK(self._mode):
            return True
        # A FIFO opened for both directions is readable when somebody has written to it.
        writes_only = fcntl.fcntl(self._fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
        return stat.S_ISFIFO(self._mode) and writes_only

    def _reader_gone(self) -> None:
        if stat.S_ISSOCK(self._mode) and self._peer_has_written():
            # It is there, but has sent data that nobody reads, so it would be readable for ever.
            # A write will tell when it is gone.
            self._unwatch_reader()
            return
        if self._loop.get_debug():
            logger.info("%r was closed by its reader", self)
        self._drop(
            BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) if self._buffer.size else None
        )

    def _peer_has_written(self) -> bool:
        try:
            peer = socket.socket(fileno=os.dup(self._fd))
        except OSError:
            return True  # there is no descriptor to spare: we cannot know
        try:
            return bool(peer.recv(1, socket.MSG_PEEK))
        except WOULD_BLOCK:
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
        if not isinstance(data, BYTES_LIKE):
            raise refusal(data)
        if not data:
            return
        if self._closing:
            self._count_lost_write()
            return
        view = memoryview(data).cast("B")
        if not self._buffer.size:
            try:
                try:
                    written = os.write(self._fd, view)
                except WOULD_BLOCK:
                    written = 0
                except OSError as exc:
                    self._fail(exc)
                    return
                if written == len(view):
                    return
                self._buffer.add(view[written:])
                self._watch_writer(self._write_ready)  # this may fail, and drop it all
            except EXITS as exc:
                self._interrupted(exc)
                raise
        else:
            self._buffer.add(view)
        self._marks.grown(self._buffer.size)

    def _write_ready(self) -> None:
        try:
            if self._buffer.size:
                self._buffer.flush(partial(os.write, self._fd), partial(os.writev, self._fd))
        except WOULD_BLOCK:
            return
        except OSError as exc:
            self._fail(exc)
            return
        except EXITS as exc:
            self._interrupted(exc)
            raise
        self._marks.shrunk(self._buffer.size)  # may call back, and so write
        if self._buffer.size or self._lost:
            return
        # Last of all. If Ctrl-C strikes before, this is called again.
        if self._closing:
            self._lose(None)
        else:
            self._unwatch_writer()

    def write_eof(self) -> None:
        """Close once all is written: a pipe has no other direction to keep open."""
        self.close()

    def can_write_eof(self) -> bool:
        """True: closing the pipe is the end of file for its reader."""
        return True

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be written."""
        return self._buffer.size

    # Ending.

    def close(self) -> None:
        """Write what is buffered, then close."""
        if self._closing:
            return
        self._closing = True
        if not self._buffer.size:
            self._lose(None)

    def abort(self) -> None:
        """Close at once; what is buffered is lost."""
        self._drop(None)

    def _fail(self, exc: OSError) -> None:
        # Readers go away all the time. The protocol is told; there is no need to log it.
        if self._loop.get_debug():
            logger.debug("%r: Fatal write error on pipe transport", self, exc_info=True)
        self._drop(exc)

    def _drop(self, exc: BaseException | None) -> None:
        self._buffer.clear()
        self._lose(exc)
