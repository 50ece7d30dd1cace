"""Listener: one listening socket of a server, and the connections that are taken from its queue.

Each has a `Burst` of its own, so that a quiet socket does not slow down a busy one.

Each connection has a context of its own (`contextvars`, PEP 567), a copy of the server's, in which
everything is called that concerns it, beginning with the protocol factory.

The trap: when the process runs out of file descriptors, `accept` fails but the connection stays in
the queue, so that the listening socket is readable on every turn and the loop would spin. So when
it fails again in the next turn, whatever the error is, listening pauses for a second. A failure
that has passed by then, or that concerned one connection only, delays no other connection.

Source: accept(2), listen(2).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from contextvars import Context
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.exits import raise_exit
from miniloop.net.attach import TLSOptions, attach
from miniloop.net.burst import Burst
from miniloop.net.nonblocking import WOULD_BLOCK
from miniloop.net.ownership import discard, refuse_owned
from miniloop.net.socket_kind import accept

__all__ = ["Listener"]

# Seconds until listening is tried again after the system has run out of something.
ACCEPT_RETRY_DELAY = 1.0

# How many bursts in a row must be full before a longer one is tried. If clients come one at a time,
# one `accept` in nine fails; if a hundred come at once, all are accepted within thirty turns.
PATIENCE = 8

_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

# Of the one connection that is then out of the queue: accept(2), "Error handling".
_CONNECTION_FAILED = {
    errno.ECONNABORTED,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOPROTOOPT,
    errno.EPROTO,
}


class Listener:
    """Takes connections from a socket for a server, from `start` to `stop`."""

    __slots__ = (
        "_burst",
        "_context",
        "_failed",
        "_fd",
        "_loop",
        "_protocol_factory",
        "_server",
        "_tls",
        "sock",
    )

    def __init__(
        self,
        loop: CompleteLoop,
        sock: socket.socket,
        server: Any,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        backlog: int,
        tls: TLSOptions | None,
        context: Context,
    ) -> None:
        self.sock = sock
        self._loop = loop
        self._server = server
        self._protocol_factory = protocol_factory
        self._burst = Burst(PATIENCE, max(0, backlog) + 1)  # of connections to accept in a turn
        self._tls = tls
        self._context = context
        self._fd: int | None = None  # of the socket, while we listen
        self._failed = False  # the last `accept`

    def refuse_second(self) -> None:
        """Raise RuntimeError if something in this loop serves the socket already."""
        fd = self.sock.fileno()
        refuse_owned(self._loop, fd, self.sock)
        watch = self._loop.poller.watches.get(fd)
        reader = None if watch is None else watch.reader
        other = getattr(None if reader is None else reader._callback, "__self__", None)
        if isinstance(other, Listener) and other.sock.fileno() == fd:
            raise RuntimeError(f"File descriptor {self.sock!r} is used by server {other._server!r}")

    def start(self) -> None:
        """Accept connections from now on. Raises OSError if the system has no room for that."""
        fd = self.sock.fileno()
        self._loop.watch_reader(fd, self._accept, context=self._context)
        self._fd = fd

    def stop(self) -> None:
        """Accept no more; the socket stays open."""
        fd, self._fd = self._fd, None
        if fd is not None:
            self._loop.unwatch(fd)

    def _accept(self) -> None:
        """Accept what waits in the queue, but no more than fits in it: others have work too."""
        for taken in range(self._burst.length):
            try:
                connection, address = accept(self.sock)
            except WOULD_BLOCK:
                self._burst.fell_short(taken)
                return
            except OSError as exc:
                if exc.errno in _CONNECTION_FAILED:
                    continue  # with the next, if there is one
                self._accept_failed(exc)
                return
            self._failed = False
            self._context.copy().run(self._serve, connection, address)
            if self._fd is None:
                return  # the protocol, or whoever made it, has closed the server
        self._burst.was_full()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        try:
            attach(
                self._loop,
                connection,
                self._protocol_factory(),
                self._tls,
                extra={"peername": address},
                server=self._server,
            )
        except BaseException as exc:
            discard(connection)
            raise_exit(exc)
            self._loop.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": exc,
                }
            )

    def _accept_failed(self, exc: OSError) -> None:
        if not self._failed:
            self._failed = True
            self._report(exc)
        elif self._fd is not None:  # as long as we accept
            self._loop.unwatch_reader(self._fd)
            self._pause()

    def _report(self, exc: OSError) -> None:
        exhausted = exc.errno in _OUT_OF_RESOURCES
        self._loop.call_exception_handler(
            {
                "message": "socket.accept() out of system resource"
                if exhausted
                else "socket.accept() failed",
                "exception": exc,
                "socket": TransportSocket(self.sock),
            }
        )

    def _pause(self) -> None:
        self._failed = False
        self._loop.call_later(ACCEPT_RETRY_DELAY, self._resume)

    def _resume(self) -> None:
        if self._fd is None:
            return
        try:
            self.start()
        except OSError as exc:
            self._report(exc)
            self._pause()  # not yet
