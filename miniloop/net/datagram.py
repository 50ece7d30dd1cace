"""DatagramTransport: datagrams in and out of a socket, UDP or Unix.

A datagram arrives whole, once or never. So there is no stream to cut up and no end of file: a
transport hands each datagram to the protocol with its sender's address, and sends each at once,
keeping only what the kernel has no room for just now.

    made ──connection_made──▶ open ──close──▶ closing ──queue sent──▶ closed
                                └──abort, unexpected error──────────▶ closed
                                                 each ends in connection_lost, once

Invariants:

1. `_queue` is empty unless the poller watches the socket for writing.
2. An error of the socket (`OSError`) concerns one datagram: it goes to `error_received`, and the
   endpoint lives on. Anything else is a mistake of the program, and ends it.
3. `_lost` is true from the moment when `connection_lost` is queued.

Reading: under load many datagrams wait at once, and a turn of the loop for each is a quarter of all
that a server has to do. But asking for one that is not there is not free either: "would block" is
an exception, and costs more than reading a datagram. So a transport reads in *bursts*: as many at
once as there lately were, up to a bound. When bursts come back full for a while it tries twice as
many; when one falls short, that is the new length. (docs/decisions/datagram-bursts.md)

The trap: a read allocates what it asks for, before it knows what there is, and above 128 KiB the C
library gets it from the kernel page by page: `recvfrom(256 KiB)` takes 17 µs, `recvfrom(64 KiB)`
1.4 µs. No datagram of the internet is longer than that.

Source: PEP 3156; the CPython documentation, "Datagram Transports"; udp(7), unix(7).
"""

from __future__ import annotations

import asyncio
import socket
import sys
import warnings
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from miniloop.kernel.report import logger
from miniloop.net.flow_control import WriteMarks

__all__ = ["DatagramTransport"]

# Bytes: the length field of UDP and IP has 16 bits.
LONGEST_INTERNET_DATAGRAM = 64 * 1024

# Bytes. A Unix datagram is as long as its sender's buffer allows: 208 KiB by default on Linux.
LONGEST_DATAGRAM = 256 * 1024

# The most datagrams that are read in one turn. What a turn costs by itself is then a sixteenth of
# what it was for each of them, and everybody else waits for sixteen small callbacks at most.
LONGEST_BURST = 16

# How many bursts must come back full before a longer one is tried. With one datagram at a time,
# which is what a single client that waits for its answers makes, each try that fails costs a fifth
# of what a datagram does; once in 64 is not worth saving.
PATIENCE = 64

# From CPython 3.13 on empty datagrams are sent, and each datagram that waits counts as so many
# bytes more than it holds, so that many empty ones are not nothing; before, they are dropped.
SENDS_EMPTY = sys.version_info >= (3, 13)
HEADER_SIZE = 8 if SENDS_EMPTY else 0

# Datagrams sent after the end are dropped; from here on the program is told that it does so.
LOST_WRITES_TOLERATED = 5

_BYTES_LIKE = (bytes, bytearray, memoryview)
_WOULD_BLOCK = (BlockingIOError, InterruptedError)
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class DatagramTransport(asyncio.Transport, asyncio.DatagramTransport):
    """An endpoint for datagrams, over a non-blocking socket.

    It is no stream, but asyncio's are instances of `asyncio.Transport` too, and programs ask.
    """

    _extra: dict[str, Any]

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: Any,
        address: Any = None,
        waiter: Any = None,
    ) -> None:
        """Take over `sock`, and tell `protocol` so on the next turn; then finish `waiter`.

        `address` is where all datagrams go, if they all go to one.
        """
        super().__init__(
            {
                "socket": TransportSocket(sock),
                "sockname": _address_of(sock.getsockname),
                "peername": _address_of(sock.getpeername),
            }
        )
        self._loop = loop
        self._sock: Any = sock
        self._fd = sock.fileno()
        self._receive = _receiver(sock)
        self._protocol: Any = protocol
        self._address = address
        self._connected = self._extra["peername"] is not None
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._size = 0  # of the queue, in bytes
        self._marks = WriteMarks(loop, self, protocol)
        self._burst = 1
        self._full_bursts = 0
        self._started = False
        self._paused = False
        self._closing = False
        self._lost = False
        self._lost_writes = 0
        loop.transports[self._fd] = self
        loop.call_soon(self._start, waiter)

    def _start(self, waiter: Any) -> None:
        try:
            self._protocol.connection_made(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.connection_made() call failed.")
        self._started = True
        try:
            if self.is_reading():
                self._loop.watch_reader(self._fd, self._read_ready)
        except Exception as exc:  # the kernel has no room for one more watch
            if waiter is None or waiter.done():
                raise
            waiter.set_exception(exc)
        else:
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def __repr__(self) -> str:
        state = "closed" if self._sock is None else "closing" if self._closing else "open"
        return f"<{type(self).__name__} {state} fd={self._fd} write buffer={self._size}>"

    def __del__(self) -> None:
        if getattr(self, "_sock", None) is not None:
            warnings.warn(
                f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2
            )
            self._sock.close()

    # The protocol.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from now on."""
        self._protocol = self._marks.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is told of what happens."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # Receiving.

    def is_reading(self) -> bool:
        """True unless reading is paused, or the transport is closing."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Receive nothing until `resume_reading`; the kernel drops what it has no room for."""
        if not self.is_reading():
            return
        self._paused = True
        self._loop.unwatch_reader(self._fd)

    def resume_reading(self) -> None:
        """Receive again."""
        if self._closing or not self._paused:
            return
        self._paused = False
        if self._started:
            self._loop.watch_reader(self._fd, self._read_ready)

    def _read_ready(self) -> None:
        receive = self._receive
        for count in range(self._burst):
            try:
                data, address = receive()
            except _WOULD_BLOCK:
                self._burst = count or 1
                self._full_bursts = 0
                return
            except OSError as exc:
                self._protocol.error_received(exc)
                return
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fail(exc, "Fatal read error on datagram transport")
                return
            self._protocol.datagram_received(data, address)
            if self._paused or self._closing:  # by the protocol, just now
                return
        self._full_bursts += 1
        if self._full_bursts == PATIENCE:
            self._full_bursts = 0
            self._burst = min(self._burst * 2, LONGEST_BURST)

    # Sending.

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram (bytes, bytearray or memoryview), now or as soon as there is room.

        It goes to `addr`, or to the endpoint's remote address. An empty one is sent from CPython
        3.13 on, and dropped before. Raises TypeError for other types, ValueError for an address
        that is not the endpoint's.
        """
        if not isinstance(data, _BYTES_LIKE):
            raise TypeError(
                "data argument must be a bytes-like object (bytes, bytearray or memoryview), "
                f"not {type(data).__name__!r}"
            )
        if self._address is not None:
            if addr is not None and addr != self._address:
                raise ValueError(f"Invalid address: must be None or {self._address}, got {addr!r}")
            addr = self._address
        if not data and not SENDS_EMPTY:
            return
        # Until the turn ends an endpoint without a remote address may still say goodbye.
        if self._lost and (self._address is not None or self._sock is None):
            self._count_lost_write()
            return
        if not self._queue:
            try:
                self._send(data, addr)
                return
            except _WOULD_BLOCK:
                if self._lost:
                    return
                self._loop.watch_writer(self._fd, self._write_ready)
            except OSError as exc:
                self._protocol.error_received(exc)
                return
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fail(exc, "Fatal write error on datagram transport")
                return
        kept = bytes(data)  # its owner may change it as soon as we return
        self._queue.append((kept, addr))
        self._size += len(kept) + HEADER_SIZE
        self._marks.grown(self._size)

    def _send(self, data: Any, address: Any) -> None:
        if self._connected:
            self._sock.send(data)
        else:
            self._sock.sendto(data, address)

    def _write_ready(self) -> None:
        queue = self._queue
        while queue:
            data, address = queue[0]
            try:
                self._send(data, address)
            except _WOULD_BLOCK:
                break
            except OSError as exc:
                self._forget_first()
                self._protocol.error_received(exc)  # it may abort, and so empty the queue
                continue
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fail(exc, "Fatal write error on datagram transport")
                return
            self._forget_first()
        if self._lost:
            return
        if not queue:
            self._loop.unwatch_writer(self._fd)
        self._marks.shrunk(self._size)  # may call back, and so send
        if self._closing and not queue:
            self._lose(None)

    def _forget_first(self) -> None:
        data, _ = self._queue.popleft()
        self._size -= len(data) + HEADER_SIZE

    def _count_lost_write(self) -> None:
        self._lost_writes += 1
        if self._lost_writes > LOST_WRITES_TOLERATED:
            logger.warning("socket.send() raised exception.")

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be sent."""
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high water mark, in bytes."""
        return self._marks.low, self._marks.high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, in bytes: see `WriteMarks.set`."""
        self._marks.set(high, low)
        self._marks.grown(self._size)

    # Ending.

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Send what is queued, then close. Nothing more is received."""
        if self._closing:
            return
        self._closing = True
        self._loop.unwatch_reader(self._fd)
        if not self._queue:
            self._lose(None)

    def abort(self) -> None:
        """Close at once; what is queued is lost."""
        self._drop(None)

    def _fail(self, exc: BaseException, message: str) -> None:
        self._report(exc, message)
        self._drop(exc)

    def _report(self, exc: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": exc,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    def _drop(self, exc: BaseException | None) -> None:
        self._queue.clear()
        self._size = 0
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        self._loop.unwatch_reader(self._fd)
        self._loop.unwatch_writer(self._fd)
        if self._loop.is_closed():
            self._close_socket()  # there is no next turn in which to tell anybody
        else:
            self._loop.call_soon(self._finish, exc)

    def _finish(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._close_socket()

    def _close_socket(self) -> None:
        self._sock.close()
        self._sock = None
        self._protocol = None
        self._marks.forget()


def _address_of(method: Callable[[], Any]) -> Any:
    try:
        return method()
    except OSError:
        return None  # not connected, or a kind of socket that has no such address


def _receiver(sock: socket.socket) -> Callable[[], tuple[bytes, Any]]:
    """A function that receives a datagram and its sender's address."""
    if sock.family in _INTERNET:
        return partial(sock.recvfrom, LONGEST_INTERNET_DATAGRAM)
    # Read into a buffer of our own, and copy what has come: see the trap, above.
    receive_into = sock.recvfrom_into
    view = memoryview(bytearray(LONGEST_DATAGRAM))

    def receive() -> tuple[bytes, Any]:
        size, address = receive_into(view)
        return bytes(view[:size]), address

    return receive
