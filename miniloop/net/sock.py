"""The `sock_*` methods: one coroutine for each operation on a bare non-blocking socket.

They all have one shape: try; if the kernel says that it would block, wait for the poller to say
that this may have changed, and try again. Trying first is right when data is usually there. When it
is not, as for a server that waits for its client's next request, it wastes a system call and an
exception. So the first try is skipped if the poller knows that there is nothing to read, since the
last read came back short and no event has arrived since: see `Watch.drained`. It is not skipped
after a send, since the answer may be there already: see `SocketWatch.guess_reply`.

A call for no bytes at all does not wait, nor does one with arguments that the kernel or Python
refuse. Such a call is always made: the first try is skipped only if at least one byte is wanted.

The trap: a short read means "empty" for TCP only. A datagram socket gives one datagram for each
call, however many wait, and a Unix socket stops short at a message with file descriptors in it.

Source: the CPython documentation, "Working with socket objects directly"; epoll(7).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.poller import Poller, Watch
from miniloop.net import resolver
from miniloop.net.nonblocking import WOULD_BLOCK
from miniloop.net.ownership import refuse_owned
from miniloop.net.socket_kind import (
    INTERNET,
    accept,
    connect,
    family_of,
    is_tcp,
    refuse_ssl_socket,
    type_of,
)
from miniloop.net.socket_watch import SocketWatch

__all__ = ["Sockets"]

T = TypeVar("T")

_PLAIN_BYTES = (bytes, bytearray)

# Seconds between two tries to connect to a Unix socket whose queue is full: the kernel says
# "would block", but gives nothing to wait for.
FULL_QUEUE_RETRY = 0.005


class Sockets:
    """The socket operations of one loop. Sockets must be non-blocking, and no ssl.SSLSocket."""

    __slots__ = ("_loop", "_poller")

    def __init__(self, loop: CompleteLoop) -> None:
        self._loop = loop
        self._poller: Poller = loop.poller
        self._poller.watch_class = SocketWatch

    # Receiving.

    async def recv(self, sock: socket.socket, size: int) -> bytes:
        """Receive up to `size` bytes; `b""` when the peer has finished sending."""
        watch = self._known(sock)
        while True:
            if watch is None or not watch.drained or size < 1:
                try:
                    data = sock.recv(size)
                except WOULD_BLOCK:
                    watch = self._watch(sock)
                    watch.note_drained()
                    if watch.guessing:
                        watch.settle_guess(right=False)
                else:
                    if watch is not None and len(data) < size and watch.short_read_drains:
                        watch.note_drained()
                        if watch.guessing:
                            watch.settle_guess(right=True)
                    return data
            await self._readable(watch)

    async def recv_into(self, sock: socket.socket, buffer: Any) -> int:
        """Receive into a writable buffer. Returns the number of bytes."""
        return await self._read(sock, lambda: sock.recv_into(buffer), not _has_room(buffer, 1))

    async def recvfrom(self, sock: socket.socket, size: int) -> tuple[bytes, Any]:
        """Receive a datagram of up to `size` bytes, and the address it came from."""
        return await self._read(sock, lambda: sock.recvfrom(size), size < 1)

    async def recvfrom_into(
        self, sock: socket.socket, buffer: Any, size: int = 0
    ) -> tuple[int, Any]:
        """Receive a datagram into a writable buffer. Returns its length and its sender."""
        count = size or len(buffer)
        doubtful = not _has_room(buffer, count)
        return await self._read(sock, lambda: sock.recvfrom_into(buffer, count), doubtful)

    async def accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Accept a connection: a new non-blocking socket, and the address of the peer."""
        return await self._read(sock, lambda: accept(sock))

    async def _read(self, sock: socket.socket, read: Callable[[], T], doubtful: bool = False) -> T:
        """Call `read` until it does not block. `doubtful`: it may be one that never blocks."""
        watch = self._known(sock)
        while True:
            if watch is None or not watch.drained or doubtful:
                try:
                    return read()
                except WOULD_BLOCK:
                    watch = self._watch(sock)
                    watch.note_drained()
            await self._readable(watch)

    # Sending.

    async def sendall(self, sock: socket.socket, data: Any) -> None:
        """Send all of `data` (any bytes-like object)."""
        watch = self._known(sock)
        rest = data if isinstance(data, _PLAIN_BYTES) else memoryview(data).cast("B")
        while True:
            if watch is None or not watch.full or not rest:
                try:
                    sent = sock.send(rest)
                except WOULD_BLOCK:
                    watch = self._watch(sock)
                    watch.note_full()
                else:
                    if sent == len(rest):
                        if watch is not None and watch.drained:
                            watch.guess_reply()
                        return
                    rest = memoryview(rest)[sent:]
                    continue
            await self._writable(watch)

    async def send(self, sock: socket.socket, data: Any) -> int:
        """Send as much of `data` as there is room for. Returns how many bytes that was."""
        return await self._write(sock, lambda: sock.send(data))

    async def sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        """Send a datagram to `address`. Returns the number of bytes."""
        return await self._write(sock, lambda: sock.sendto(data, address))

    async def connect(self, sock: socket.socket, address: Any) -> None:
        """Connect to `address`; a host name in it is resolved."""
        self._known(sock)
        family = family_of(sock)
        if family in INTERNET:
            kind, proto = type_of(sock), sock.proto
            host, port = address[:2]
            info = resolver.parse_literal(host, port, family, kind, proto, *address[2:])
            if info is None:
                infos = await resolver.resolve(
                    self._loop, address, family=family, kind=kind, proto=proto
                )
                if not infos:
                    raise OSError(f"getaddrinfo found no address for {address!r}")
                info = infos[0]
            address = info[4]
        while problem := connect(sock, address):
            if problem != errno.EAGAIN or family != socket.AF_UNIX:
                break
            await asyncio.sleep(FULL_QUEUE_RETRY)
        else:
            return
        # A peer on this machine may have answered before `connect` returned. We wait all the same:
        # if it is a server of this very loop, it is told in the same turn, and has accepted us
        # before we go on.
        await self._writable(self._watch(sock))
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, f"Connect call failed {address}")

    async def wait_for_room(self, sock: socket.socket) -> None:
        """Wait until a socket that was full may not be any more."""
        watch = self._watch(sock)
        watch.note_full()
        await self._writable(watch)

    async def _write(self, sock: socket.socket, write: Callable[[], T]) -> T:
        watch = self._known(sock)
        while True:
            if watch is None or not watch.full:
                try:
                    return write()
                except WOULD_BLOCK:
                    watch = self._watch(sock)
                    watch.note_full()
            await self._writable(watch)

    # Waiting.

    async def _readable(self, watch: Watch) -> None:
        waiter = self._loop.create_future()
        self._poller.wait_readable(watch, waiter)
        try:
            await waiter
        except BaseException:
            self._poller.forget_waiter(watch, waiter)
            raise

    async def _writable(self, watch: Watch) -> None:
        waiter = self._loop.create_future()
        self._poller.wait_writable(watch, waiter)
        try:
            await waiter
        except BaseException:
            self._poller.forget_waiter(watch, waiter)
            raise

    def _known(self, sock: socket.socket) -> SocketWatch | None:
        """What the poller knows of the socket. One that it does not know is checked first."""
        # All are of this class: see `__init__`.
        watch: SocketWatch | None = self._poller.known(sock)  # type: ignore[assignment]
        if watch is None:
            refuse_ssl_socket(sock)
            if self._loop.get_debug() and sock.gettimeout() != 0:
                raise ValueError("the socket must be non-blocking")
        return watch

    def _watch(self, sock: socket.socket) -> SocketWatch:
        """Know the socket from now on. Raises RuntimeError if it belongs to a transport."""
        fd = sock.fileno()
        refuse_owned(self._loop, fd, fd)
        watch: SocketWatch = self._poller.watch_socket(sock)  # type: ignore[assignment]
        if not watch.short_read_drains:
            watch.short_read_drains = is_tcp(sock)
        return watch


def _has_room(buffer: Any, count: int) -> bool:
    """Whether it is plain that `count` bytes, and at least one, fit into the buffer."""
    kind = type(buffer)
    return (kind is bytearray or (kind is memoryview and not buffer.readonly)) and (
        0 < count <= len(buffer)
    )
