"""Server: sockets that listen, and a transport for each connection that arrives.

How the sockets are found, bound and made to listen is told in `listen`.

Invariants:

1. `_sockets` is None from `close` on; nothing is accepted after that.
2. `_clients` has, by its `id` and weakly, each transport that a connection of this server runs on.
   Weakly, so that a transport that its protocol has dropped without closing is still noticed as
   such; it says goodbye by `detach` even then.

The trap: when the process runs out of file descriptors, `accept` fails but the connection stays in
the queue, so that the listening socket is readable on every turn and the loop would spin. Listening
then pauses for a second.

Source: the CPython documentation, "Server Objects"; accept(2), listen(2), unix(7).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
import weakref
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from typing import Any

from miniloop.kernel.report import logger
from miniloop.net import connect
from miniloop.net.burst import Burst
from miniloop.net.connect import TLSOptions

__all__ = ["Server"]

# Seconds to leave a listening socket alone after the system has run out of something.
ACCEPT_RETRY_DELAY = 1.0

# How many bursts must come back full before a longer one is tried: lone visitors then make the
# server ask in vain after every ninth, and a crowd of a hundred is let in within thirty turns.
PATIENCE = 8

_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Server(asyncio.AbstractServer):
    """Listening sockets and the connections that came from them."""

    # `isinstance(server, asyncio.Server)` holds: see docs/decisions/types-that-libraries-check.md.
    @property  # type: ignore[misc]  # writable in `object`
    def __class__(self) -> type:
        return asyncio.Server

    def __init__(
        self,
        loop: Any,
        sockets: list[socket.socket],
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        backlog: int,
        tls: TLSOptions | None,
    ) -> None:
        self._loop = loop
        self._sockets: list[socket.socket] | None = sockets
        self._protocol_factory = protocol_factory
        self._backlog = backlog
        self._burst = Burst(PATIENCE, backlog + 1)  # of connections to accept in a turn
        self._tls = tls
        self._clients: dict[int, weakref.ref[Any]] = {}
        self._serving = False
        self._forever: Any = None  # a future, while somebody is in serve_forever
        self._closed_waiters: list[Any] | None = []  # None once closed and without clients
        self._socket_files: list[tuple[str | bytes, int]] = []  # to remove: path and inode

    def __repr__(self) -> str:
        return f"<{type(self).__name__} sockets={self.sockets!r}>"

    # Asking.

    def get_loop(self) -> Any:
        """The loop the server runs on."""
        return self._loop

    def is_serving(self) -> bool:
        """True while the server accepts connections."""
        return self._serving

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:
        """The listening sockets; none once the server is closed."""
        return () if self._sockets is None else tuple(map(TransportSocket, self._sockets))

    # Serving.

    async def start_serving(self) -> None:
        """Accept connections from now on. Doing it twice does nothing."""
        self._listen()
        await asyncio.sleep(0)  # whoever awaits this finds the sockets in the poller

    async def serve_forever(self) -> None:
        """Accept connections until cancelled, and close the server then.

        Raises RuntimeError if the server is closed, or somebody waits here already.
        """
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        self._listen()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        finally:
            self._forever = None

    def _listen(self) -> None:
        if self._serving:
            return
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        for sock in self._sockets:
            sock.listen(self._backlog)  # fails if somebody else has begun to listen there
        self._serving = True
        for sock in self._sockets:
            self._loop.watch_reader(sock.fileno(), self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        """Take what waits in the queue, but no more than fits in it: others have work too."""
        for taken in range(self._burst.length):
            try:
                connection, address = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                # The queue is empty, or the peer has gone again.
                self._burst.fell_short(taken)
                return
            except OSError as exc:
                if exc.errno not in _OUT_OF_RESOURCES:
                    raise
                self._pause(sock, exc)
                return
            connection.setblocking(False)
            self._serve(connection, address)
        self._burst.was_full()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        try:
            protocol = self._protocol_factory()
            connect.attach(
                self._loop,
                connection,
                protocol,
                self._tls,
                extra={"peername": address},
                server=self,
            )
        except (SystemExit, KeyboardInterrupt):
            connection.close()
            raise
        except BaseException as exc:
            connection.close()
            self._loop.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": exc,
                }
            )

    def _pause(self, sock: socket.socket, exc: OSError) -> None:
        self._loop.call_exception_handler(
            {
                "message": "socket.accept() out of system resource",
                "exception": exc,
                "socket": TransportSocket(sock),
            }
        )
        self._loop.unwatch_reader(sock.fileno())
        self._loop.call_later(ACCEPT_RETRY_DELAY, self._resume, sock)

    def _resume(self, sock: socket.socket) -> None:
        if self._sockets is not None:
            self._loop.watch_reader(sock.fileno(), self._accept, sock)

    # Ending.

    def close(self) -> None:
        """Stop listening. Connections that are open stay so."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        self._serving = False
        for sock in sockets:
            self._loop.unwatch_reader(sock.fileno())
            sock.close()
        self._remove_socket_files()
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        if not self._clients:
            self._wake()

    def close_clients(self) -> None:
        """Close every connection that came through this server, sending what is buffered."""
        for transport in self._clients_alive():
            transport.close()

    def abort_clients(self) -> None:
        """Close every connection that came through this server at once."""
        for transport in self._clients_alive():
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its connections have ended.

        On CPython 3.11 a server that is closed is not waited for, as there.
        """
        if self._closed_waiters is None:
            return
        if sys.version_info < (3, 12) and self._sockets is None:
            return
        waiter = self._loop.create_future()
        self._closed_waiters.append(waiter)
        await waiter

    def _clients_alive(self) -> list[Any]:
        found = [client() for client in self._clients.values()]
        return [transport for transport in found if transport is not None]

    def attach(self, transport: Any) -> None:
        """A connection of this server has begun."""
        self._clients[id(transport)] = weakref.ref(transport)

    def detach(self, transport: Any) -> None:
        """A connection of this server has ended."""
        self._clients.pop(id(transport), None)
        if not self._clients and self._sockets is None:
            self._wake()

    def _wake(self) -> None:
        waiters, self._closed_waiters = self._closed_waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    # The file of a Unix socket.

    def remove_on_close(self, path: str | bytes) -> None:
        """Remove the socket's file when the server closes, if it is still the same file."""
        try:
            self._socket_files.append((path, os.stat(path).st_ino))
        except FileNotFoundError:
            pass  # removed already, by somebody who knows better

    def _remove_socket_files(self) -> None:
        for path, inode in self._socket_files:
            try:
                if os.stat(path).st_ino == inode:
                    os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as exc:
                logger.error("Unable to clean up listening UNIX socket %r: %s", path, exc)
        self._socket_files.clear()
