"""DatagramTransport: datagrams in and out of a socket, UDP or Unix.

A datagram arrives whole, once or never. So there is no stream to cut up and no end of file: a
transport hands each datagram to the protocol with its sender's address, and sends each at once,
keeping only what the kernel has no room for just now.

How it begins and ends is told in `descriptor_transport`.

Invariants:

1. `_queue` is empty unless the poller watches the socket for writing.
2. An error of the socket (`OSError`) concerns one datagram: it goes to `error_received`, and the
   endpoint lives on. Anything else is a mistake of the program, and ends it.

Reading: under load many datagrams wait at once, and a turn of the loop for each would be a quarter
of all that a server does. So a transport reads in bursts: see `burst`, and for the figures
docs/decisions/datagram-bursts.md.

The trap: a read allocates what it asks for, before it knows what there is, and above 128 KiB the C
library gets it from the kernel page by page: `recvfrom(256 KiB)` takes 17 µs, `recvfrom(64 KiB)`
1.4 µs. No datagram of the internet is longer than that.

Source: PEP 3156; the CPython documentation, "Datagram Transports"; udp(7), unix(7).
"""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.net.burst import Burst
from miniloop.net.descriptor_transport import ReadableTransport, WritableTransport
from miniloop.net.nonblocking import WOULD_BLOCK
from miniloop.net.ownership import take
from miniloop.net.socket_kind import INTERNET, family_of
from miniloop.net.write_buffer import BYTES_LIKE, refusal

__all__ = ["DatagramTransport"]

# Bytes: the length field of UDP and IP has 16 bits.
LONGEST_INTERNET_DATAGRAM = 64 * 1024

# Bytes. A Unix datagram is as long as its sender's buffer allows: 208 KiB by default on Linux.
LONGEST_DATAGRAM = 256 * 1024

# The most datagrams that are read in one turn. They share the cost of the turn, and all other
# callbacks wait for at most sixteen small ones.
LONGEST_BURST = 16

# How many bursts in a row must be full before a longer one is tried. A single client that waits for
# each answer sends one datagram at a time. Then a longer burst fails, which costs a fifth of what a
# datagram does: little, if it happens once in 64.
PATIENCE = 64

# From CPython 3.13 on empty datagrams are sent, and each datagram in the queue counts as its length
# and this many bytes, so that many empty ones add up. Before 3.13 empty datagrams are dropped.
SENDS_EMPTY = sys.version_info >= (3, 13)
HEADER_SIZE = 8 if SENDS_EMPTY else 0


class DatagramTransport(
    ReadableTransport, WritableTransport, asyncio.Transport, asyncio.DatagramTransport
):
    """An endpoint for datagrams, over a non-blocking socket.

    It is no stream, but asyncio's are instances of `asyncio.Transport` too, and programs check.
    """

    __slots__ = ("_address", "_burst", "_connected", "_queue", "_receive", "_size")
    global __static_attributes__  # as in Future: 50 bytes less on CPython 3.14

    def __init__(
        self,
        loop: CompleteLoop,
        sock: socket.socket,
        protocol: Any,
        address: Any = None,
        waiter: Any = None,
    ) -> None:
        """Take over `sock`. On the next turn call `connection_made`, then finish `waiter`.

        `address` is where all datagrams go, if they all go to one.
        """
        self._address = address
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._size = 0  # of the queue, in bytes
        self._burst = Burst(PATIENCE, LONGEST_BURST)
        extra = {
            "socket": TransportSocket(sock),
            "sockname": _address_of(sock.getsockname),
            "peername": _address_of(sock.getpeername),
        }
        super().__init__(loop, sock, protocol, extra)
        self._connected = extra["peername"] is not None
        self._receive = _receiver(sock)
        take(loop, self._fd, self)
        self._begin(waiter)

    # Receiving.

    def _read_ready(self) -> None:
        receive = self._receive
        for count in range(self._burst.length):
            try:
                data, address = receive()
            except WOULD_BLOCK:
                self._burst.fell_short(count)
                return
            except OSError as exc:
                self._protocol.error_received(exc)
                return
            except BaseException as exc:
                self._fail(exc, "Fatal read error on datagram transport")
                return
            self._protocol.datagram_received(data, address)
            if self._paused or self._closing:  # by the protocol, just now
                return
        self._burst.was_full()

    # Sending.

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram (bytes, bytearray or memoryview), now or as soon as there is room.

        It goes to `addr`, or to the endpoint's remote address. An empty one is sent from CPython
        3.13 on, and dropped before. Raises TypeError for other types, ValueError for an address
        that is not the endpoint's.
        """
        if not isinstance(data, BYTES_LIKE):
            raise refusal(data)
        if self._address is not None:
            if addr is not None and addr != self._address:
                raise ValueError(f"Invalid address: must be None or {self._address}, got {addr!r}")
            addr = self._address
        if not data and not SENDS_EMPTY:
            return
        # Without a remote address an endpoint may still send in the turn in which it closes.
        if self._lost and (self._address is not None or self._file is None):
            self._count_lost_write()
            return
        if not self._queue:
            try:
                self._send(data, addr)
                return
            except WOULD_BLOCK:
                if self._lost:
                    return
                self._keep(data, addr)
                self._watch_writer(self._write_ready)  # this may fail, and drop it all
                self._marks.grown(self._size)
                return
            except OSError as exc:
                self._protocol.error_received(exc)
                return
            except BaseException as exc:
                self._fail(exc, "Fatal write error on datagram transport")
                return
        self._keep(data, addr)
        self._marks.grown(self._size)

    def _keep(self, data: Any, addr: Any) -> None:
        kept = bytes(data)  # its owner may change it as soon as we return
        self._queue.append((kept, addr))
        self._size += len(kept) + HEADER_SIZE

    def _send(self, data: Any, address: Any) -> None:
        if self._connected:
            self._file.send(data)
        else:
            self._file.sendto(data, address)

    def _write_ready(self) -> None:
        queue = self._queue
        while queue:
            data, address = queue[0]
            try:
                self._send(data, address)
            except WOULD_BLOCK:
                break
            except OSError as exc:
                self._forget_first()
                self._protocol.error_received(exc)  # it may abort, and so empty the queue
                continue
            except BaseException as exc:
                self._fail(exc, "Fatal write error on datagram transport")
                return
            self._forget_first()
        if self._lost:
            return
        self._marks.shrunk(self._size)  # may call back, and so send
        if queue or self._lost:
            return
        # Last of all. If Ctrl-C strikes before, this is called again.
        if self._closing:
            self._lose(None)
        else:
            self._unwatch_writer()

    def _forget_first(self) -> None:
        data, _ = self._queue.popleft()
        self._size -= len(data) + HEADER_SIZE

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be sent."""
        return self._size

    # Ending.

    def close(self) -> None:
        """Send what is queued, then close. Nothing more is received."""
        if self._closing:
            return
        self._closing = True
        if self._queue:
            self._unwatch_reader()
        else:
            self._lose(None)

    def abort(self) -> None:
        """Close at once; what is queued is lost."""
        self._drop(None)

    def _fail(self, exc: BaseException, message: str) -> None:
        self._report(exc, message)
        self._drop(exc)

    def _drop(self, exc: BaseException | None) -> None:
        self._queue.clear()
        self._size = 0
        self._lose(exc)


def _address_of(method: Callable[[], Any]) -> Any:
    try:
        return method()
    except OSError:
        return None  # not connected, or a kind of socket that has no such address


def _receiver(sock: socket.socket) -> Callable[[], tuple[bytes, Any]]:
    """A function that receives a datagram and its sender's address."""
    if family_of(sock) in INTERNET:
        return partial(sock.recvfrom, LONGEST_INTERNET_DATAGRAM)
    # Read into a buffer of our own, and copy what has come: see the trap, above.
    receive_into = sock.recvfrom_into
    view = memoryview(bytearray(LONGEST_DATAGRAM))

    def receive() -> tuple[bytes, Any]:
        size, address = receive_into(view)
        return bytes(view[:size]), address

    return receive
