"""sendfile: from a file to a socket, without copying the bytes through Python.

The kernel can copy a file to a socket by itself (`os.sendfile`); the loop only waits whenever the
socket is full. It needs a real file on one side and a bare stream socket on the other. For
everything else, such as a file in memory, or TLS, which must see each byte, there is the
fall-back: read a block in the executor, send it, and again.

Rules, the same for both ways:

1. Reading begins at `offset`, wherever the file's own position is, and ends after `count` bytes, or
   at the end of the file.
2. Afterwards, and after an error or a cancellation as well, the file's position is where the next
   byte to send is: `offset`, and what was sent.
3. While a transport's socket is lent to the kernel the transport takes no writes and does not read.

The trap: `os.sendfile` fails on what it cannot do (a pipe, a special file) with an error like any
other. As long as nothing was sent we take that for "cannot do it", and try the fall-back, which
raises if the error was another. And the thread that reads for the fall-back cannot be stopped: see
`_Source`.

Source: the CPython documentation, `loop.sendfile`, `loop.sock_sendfile`; sendfile(2).
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
import socket
import threading
from asyncio import SendfileNotAvailableError
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.net.descriptor_transport import DescriptorTransport
from miniloop.net.nonblocking import WOULD_BLOCK
from miniloop.net.ownership import refuse_owned
from miniloop.net.sock import Sockets
from miniloop.net.socket_kind import refuse_ssl_socket
from miniloop.net.stream import StreamTransport

__all__ = ["send_over_socket", "sendfile"]

# The most bytes that one call of the system takes; above, 32-bit systems overflow.
LARGEST_CALL = 1 << 30

# Bytes read and sent at a time by the fall-back. The trip to the executor and back takes some
# 50 µs, copying 32 KiB about 5; more at a time would only overfill a transport's buffer.
BLOCK_SIZE = 32 * 1024


async def send_over_socket(
    loop: CompleteLoop,
    sockets: Sockets,
    sock: socket.socket,
    file: Any,
    offset: int,
    count: int | None,
    fallback: bool,
) -> int:
    """Send `count` bytes (None: all) of a file, from `offset` on. Returns how many were sent.

    Raises SendfileNotAvailableError if the system cannot do it and `fallback` is false, ValueError
    for a text file, a datagram socket or numbers out of range, RuntimeError for the socket of a
    transport.
    """
    if loop.get_debug() and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")
    refuse_ssl_socket(sock)
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"only SOCK_STREAM type sockets are supported, got {sock!r}")
    _check(file, offset, count)
    refuse_owned(loop, sock.fileno(), sock)
    try:
        return await _send_natively(sock, file, offset, count, partial(sockets.wait_for_room, sock))
    except SendfileNotAvailableError:
        if not fallback:
            raise
    return await _send_by_blocks(loop, file, offset, count, partial(sockets.send, sock))


async def sendfile(
    loop: CompleteLoop,
    transport: Any,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    *,
    fallback: bool = True,
) -> int:
    """Send a file over a transport, after what was written to it. Returns how many bytes were sent.

    Raises RuntimeError for a transport that is closing or is no stream, or that only the fall-back
    could serve if `fallback` is false; SendfileNotAvailableError if the system cannot do it and
    `fallback` is false.
    """
    if transport.is_closing():
        raise RuntimeError(f"Transport is closing: {transport!r}")
    _check(file, offset, count)
    if isinstance(transport, StreamTransport):
        try:
            return await _send_over_lent_socket(transport, file, offset, count)
        except SendfileNotAvailableError:
            if not fallback:
                raise
    elif not fallback:
        raise RuntimeError(
            f"fallback is disabled and native sendfile is not supported for transport {transport!r}"
        )
    elif not isinstance(transport, asyncio.Transport) or isinstance(transport, DescriptorTransport):
        # A pipe, a datagram endpoint, or a transport of another kind.
        raise RuntimeError(f"sendfile is not supported for transport {transport!r}")
    pump = _Pump(loop, transport)
    try:
        return await _send_by_blocks(loop, file, offset, count, pump.send)
    finally:
        pump.restore()


def _check(file: Any, offset: Any, count: Any) -> None:
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError(f"file should be opened in binary mode, got {file!r}")
    if count is not None:
        if not isinstance(count, int):
            raise TypeError(f"count must be a positive integer (got {count!r})")
        if count <= 0:
            raise ValueError(f"count must be a positive integer (got {count!r})")
    if not isinstance(offset, int):
        raise TypeError(f"offset must be a non-negative integer (got {offset!r})")
    if offset < 0:
        raise ValueError(f"offset must be a non-negative integer (got {offset!r})")


# The kernel's way.


async def _send_over_lent_socket(
    transport: StreamTransport, file: Any, offset: int, count: int | None
) -> int:
    """Have the kernel write to the transport's socket, once all before it is sent."""
    was_reading = transport.is_reading()
    transport.pause_reading()
    sent_before = transport.lend_socket()
    try:
        await sent_before
        sock = transport.get_extra_info("socket")
        return await _send_natively(sock, file, offset, count, transport.wait_for_room)
    finally:
        transport.take_socket_back()
        if was_reading:
            transport.resume_reading()


async def _send_natively(
    sock: Any,
    file: Any,
    offset: int,
    count: int | None,
    wait_for_room: Callable[[], Awaitable[None]],
) -> int:
    source = _regular_file(file)
    sent = 0
    try:
        while count is None or sent < count:
            most = LARGEST_CALL if count is None else min(count - sent, LARGEST_CALL)
            try:
                # Its number is asked for each time: a socket that was closed has none.
                step = os.sendfile(sock.fileno(), source, offset + sent, most)
            except WOULD_BLOCK:
                await wait_for_room()
            except OSError as exc:
                if sent == 0:
                    raise SendfileNotAvailableError("os.sendfile call failed") from exc
                if exc.errno in (errno.ENOTCONN, errno.EBADF):
                    raise ConnectionError(exc.errno, "the socket was closed meanwhile") from exc
                raise
            else:
                if step == 0:
                    break  # the end of the file
                sent += step
                # With a fast reader at the other end this loop might never wait: let others run.
                await asyncio.sleep(0)
    finally:
        if sent or _seekable(file):
            _set_position(file, source, offset + sent)
    return sent


def _regular_file(file: Any) -> int:
    """The descriptor of a file that the kernel can read by itself."""
    if not hasattr(os, "sendfile"):
        raise SendfileNotAvailableError("os.sendfile() is not available on this system")
    try:
        descriptor: int = file.fileno()
        os.fstat(descriptor)
    except (AttributeError, io.UnsupportedOperation, OSError) as exc:
        raise SendfileNotAvailableError(f"not a regular file: {file!r}") from exc
    return descriptor


def _set_position(file: Any, descriptor: int, position: int) -> None:
    # By its own method where it has one: a buffered file must forget what it has read ahead.
    if hasattr(file, "seek"):
        file.seek(position)
    else:
        os.lseek(descriptor, position, os.SEEK_SET)


# The fall-back.


async def _send_by_blocks(
    loop: CompleteLoop,
    file: Any,
    offset: int,
    count: int | None,
    send: Callable[[memoryview], Awaitable[int]],
) -> int:
    source = _Source(file, offset)
    block = memoryview(bytearray(BLOCK_SIZE if count is None else min(count, BLOCK_SIZE)))
    sent = 0
    try:
        while count is None or sent < count:
            wanted = block if count is None else block[: count - sent]
            read = await loop.run_in_executor(None, source.read_into, wanted)
            if not read:
                break  # the end of the file
            rest = wanted[:read]
            while rest:
                step = await send(rest)
                sent += step
                rest = rest[step:]
    finally:
        source.leave_at(offset + sent)
    return sent


class _Source:
    """A file that is read in threads, and whose position is right at the end.

    A read whose caller was cancelled goes on, or begins only then, and would move the file's
    position after we have set it. So the position is set between two reads, and no read begins
    after that.
    """

    def __init__(self, file: Any, offset: int) -> None:
        """Begin at `offset`. Raises ValueError unless it is 0 for a file that cannot seek."""
        self._file = file
        self._can_seek = _seekable(file)
        self._lock = threading.Lock()
        self._left = False
        if self._can_seek:
            file.seek(offset)
        elif offset:
            raise ValueError(f"offset must be 0 for a file that cannot seek, got {offset}")

    def read_into(self, block: memoryview) -> int:
        """In a thread: read the next bytes. Returns how many there were, 0 at the end."""
        if not self._can_seek:
            return int(self._file.readinto(block))  # which may take for ever, for a pipe
        with self._lock:
            return 0 if self._left else int(self._file.readinto(block))

    def leave_at(self, position: int) -> None:
        """Read no more, and leave the file where the next byte to read is that at `position`."""
        if self._can_seek:
            with self._lock:
                self._left = True
                self._file.seek(position)


def _seekable(file: Any) -> bool:
    """Whether the file has a position at all: a pipe has none."""
    return bool(file.seekable()) if hasattr(file, "seekable") else hasattr(file, "seek")


class _Pump(asyncio.Protocol):
    """Stands in for a transport's protocol during the fall-back, to hear when it may write.

    The protocol is told as well, so that it knows afterwards whether it may write.
    """

    def __init__(self, loop: CompleteLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._protocol: Any = transport.get_protocol()
        self._was_reading = transport.is_reading()
        self._lost: BaseException | None = None
        self._room: Any = None  # a future, while the transport's buffer is full
        if transport.get_write_buffer_size() > transport.get_write_buffer_limits()[1]:
            self._room = loop.create_future()
        transport.pause_reading()
        transport.set_protocol(self)

    async def send(self, block: memoryview) -> int:
        if self._room is not None:
            await self._room
        if self._lost is not None:
            raise self._lost
        if self._transport.is_closing():
            raise ConnectionError("Connection closed by peer")
        self._transport.write(bytes(block))
        if self._transport.is_closing():  # this very write has found it broken
            raise ConnectionError("Connection closed by peer")
        return len(block)

    def pause_writing(self) -> None:
        if self._room is None:
            self._room = self._loop.create_future()
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._wake()
        self._protocol.resume_writing()

    def _wake(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc or ConnectionError("Connection is closed by peer")
        self._wake()
        self._protocol.connection_lost(exc)

    def restore(self) -> None:
        """Give the transport back to its protocol."""
        if self._lost is not None:
            return
        self._transport.set_protocol(self._protocol)
        if self._was_reading:
            self._transport.resume_reading()
