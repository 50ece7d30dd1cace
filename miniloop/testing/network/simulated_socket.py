"""SimulatedSocket: what a program holds of the simulated network.

It is a `socket.socket` by type, as libraries check, and has no descriptor: `fileno` gives a number
above all real ones, which the poller of the run knows. Everything that it can do it does at once,
or raises BlockingIOError. It cannot block: a program that would wait in it gets an
`io.UnsupportedOperation`, since all of the simulated world would wait with it.

Only the internet families are simulated. Names and options are in `bare_socket`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from typing import Any

from miniloop.testing.network.bare_socket import BareSocket
from miniloop.testing.network.contract import ANY_ADDRESS
from miniloop.testing.network.socket_errors import error_of, would_block
from miniloop.testing.network.tcp import End, Queue

__all__ = ["SimulatedSocket"]


class SimulatedSocket(BareSocket):
    """A stream or datagram socket of a simulated host."""

    # Connecting.

    def connect(self, address: Any, /) -> None:
        """Begin to connect. Raises BlockingIOError (EINPROGRESS), or the error there is."""
        machine = self._open()
        if self._port is not None:
            if isinstance(address, tuple) and address[:1] == ("",):
                self._port.remote = None
                return
            host, port = self._checked(address)
            self._bind_freely(host)
            if host in ANY_ADDRESS:
                host = machine.own_address(host, host)
            self._port.remote = self._named(host, port)
            return
        if self._queue is not None:
            raise error_of(errno.EISCONN)
        if self._end is not None:
            self._connect_again(self._end)
            return
        host, port = self._checked(address)
        if host in ANY_ADDRESS:
            host = machine.own_address(host, host)
        local = self._bind_freely(host)
        end = End(
            machine,
            (machine.own_address(local[0], host), *local[1:]),
            self._named(host, port),
        )
        self._take(end)
        end.connect()
        raise self._refuse_to_block(error_of(errno.EINPROGRESS))

    def _connect_again(self, end: End) -> None:
        if end.state == "connecting":
            raise error_of(errno.EALREADY)
        end.raise_error()
        raise error_of(errno.EISCONN if end.state == "open" else errno.ECONNABORTED)

    def connect_ex(self, address: Any, /) -> int:
        """`connect`, with the errno for a result."""
        try:
            self.connect(address)
        except OSError as exc:
            return exc.errno or errno.EINVAL
        return 0

    def _take(self, end: End) -> None:
        self._end = end
        end.notify = self._changed
        end.send_size = self._options.get((socket.SOL_SOCKET, socket.SO_SNDBUF), end.send_size)
        end.receive_size = self._options.get(
            (socket.SOL_SOCKET, socket.SO_RCVBUF), end.receive_size
        )

    def listen(self, backlog: int = 128, /) -> None:
        """Have connections queued."""
        machine = self._open()
        if self._kind != socket.SOCK_STREAM:
            raise error_of(errno.EOPNOTSUPP)
        if self._end is not None:
            raise error_of(errno.EINVAL)
        backlog = max(0, backlog)
        if self._queue is not None:
            self._queue.backlog = backlog
            return
        host, port = self._bind_freely()[:2]
        queue = Queue(backlog, self._changed)
        machine.listen(host, port, queue)
        self._queue = queue

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that waits, and where it comes from."""
        machine = self._open()
        if self._queue is None:
            raise error_of(errno.EINVAL)
        if not self._queue.ready:
            raise self._refuse_to_block(would_block())
        end = self._queue.ready.popleft()
        sock = SimulatedSocket(self._table, machine, self._family, self._kind, self._proto)
        sock._options.update(self._options)
        sock._take(end)
        return sock, end.remote

    # Sending.

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send what there is room for."""
        self._open()
        view = memoryview(data).cast("B")
        if self._port is not None:
            if self._port.remote is None:
                raise error_of(errno.EDESTADDRREQ)
            return self._port.send(view, self._port.remote)
        end = self._connected()
        try:
            return end.send(view)
        except BlockingIOError as exc:
            raise self._refuse_to_block(exc) from None

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all, if there is room for all."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest) :]

    def sendto(self, data: Any, *arguments: Any) -> int:
        """Send a datagram: `sendto(data, address)` or `sendto(data, flags, address)`."""
        self._open()
        if self._port is None or arguments[-1] is None:
            return self.send(data)
        host, port = self._checked(arguments[-1])
        self._bind_freely()
        return self._port.send(memoryview(data).cast("B"), self._named(host, port))

    def sendmsg(self, buffers: Iterable[Any], *arguments: Any) -> int:
        """Send several pieces as one."""
        data = b"".join(bytes(piece) for piece in buffers)
        address = arguments[2] if len(arguments) > 2 else None
        return self.send(data) if address is None else self.sendto(data, address)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Not here: `loop.sendfile` and `loop.sock_sendfile` can."""
        raise NotImplementedError("a simulated socket has no sendfile; use loop.sock_sendfile")

    # Receiving.

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive up to so many bytes; none at the end."""
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        self._open()
        peek = bool(flags & socket.MSG_PEEK)
        try:
            if self._port is not None:
                return self._port.receive(peek=peek)[0][:bufsize]
            return self._connected().receive(bufsize, peek=peek)
        except BlockingIOError as exc:
            raise self._refuse_to_block(exc) from None

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into a writable buffer."""
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Receive a datagram, and where it comes from."""
        self._open()
        if self._port is None:
            return self.recv(bufsize, flags), None
        try:
            data, sender = self._port.receive(peek=bool(flags & socket.MSG_PEEK))
        except BlockingIOError as exc:
            raise self._refuse_to_block(exc) from None
        return data[:bufsize], sender

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """Receive a datagram into a writable buffer."""
        view = memoryview(buffer).cast("B")
        data, sender = self.recvfrom(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data), sender

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[Any], int, Any]:
        """As `recvfrom`: there are no control messages."""
        data, sender = self.recvfrom(bufsize, flags)
        return data, [], 0, sender
