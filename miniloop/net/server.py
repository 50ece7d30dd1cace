"""Server: sockets that listen, and a transport for each connection that arrives.

How the sockets are found, bound and made to listen is told in `listen`, and how connections are
taken from their queues in `listener`.

Invariants:

1. `_sockets` is None from `close` on; nothing is accepted after that.
2. `_clients` has the transport of each connection of this server, by its `id`. The references are
   weak, so that a transport that was dropped without closing is collected, and warns. Even then it
   calls `detach`.

Source: the CPython documentation, "Server Objects"; listen(2), unix(7).
"""

from __future__ import annotations

import asyncio
import socket
import sys
import weakref
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.net.attach import TLSOptions
from miniloop.net.listener import Listener
from miniloop.net.unix_path import SocketFile

__all__ = ["Server"]

# From CPython 3.15 on connections see the context in which the server was made; before, that of
# whoever had it start to serve.
_KEEPS_CONTEXT = sys.version_info >= (3, 15)

# From CPython 3.12 on `wait_closed` waits for the connections. So that a cancelled `serve_forever`
# does not wait for them for ever, it closes them; asyncio's does so in newer releases of 3.13.
_WAITS_FOR_CLIENTS = sys.version_info >= (3, 12)


class Server(asyncio.AbstractServer):
    """Listening sockets and the connections that came from them."""

    # `isinstance(server, asyncio.Server)` holds: see docs/decisions/types-that-libraries-check.md.
    @property  # type: ignore[misc]  # writable in `object`
    def __class__(self) -> type:
        return asyncio.Server

    def __init__(
        self,
        loop: CompleteLoop,
        sockets: list[socket.socket],
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        backlog: int,
        tls: TLSOptions | None,
    ) -> None:
        self._loop = loop
        self._sockets: list[socket.socket] | None = sockets
        self._listeners: list[Listener] = []  # of the sockets, while the server serves
        self._protocol_factory = protocol_factory
        self._backlog = backlog
        self._tls = tls
        self._context = copy_context() if _KEEPS_CONTEXT else None
        self._clients: dict[int, weakref.ref[Any]] = {}
        self._serving = False
        self._forever: Any = None  # a future, while somebody is in serve_forever
        self._closed_waiters: list[Any] | None = []  # None once closed and without clients
        self._socket_files: list[SocketFile] = []  # to remove

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

        From CPython 3.12 on the connections are closed, too, and waited for.

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
            if _WAITS_FOR_CLIENTS:
                self.close_clients()
            await self.wait_closed()
            raise
        finally:
            self._forever = None

    def _listen(self) -> None:
        if self._serving:
            return
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        context = copy_context() if self._context is None else self._context
        listeners = [
            Listener(
                self._loop, sock, self, self._protocol_factory, self._backlog, self._tls, context
            )
            for sock in self._sockets
        ]
        for listener in listeners:
            listener.refuse_second()
        try:
            for listener in listeners:
                listener.sock.listen(self._backlog)  # fails if another one listens there already
            for listener in listeners:
                listener.start()
        except BaseException:
            for listener in listeners:
                listener.stop()
            raise
        self._listeners = listeners
        self._serving = True

    # Ending.

    def stop_serving(self) -> None:
        """Accept no more connections; the sockets stay open."""
        self._serving = False
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.stop()

    def close(self) -> None:
        """Stop listening. Connections that are open stay so."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        self.stop_serving()
        for sock in sockets:
            try:
                sock.close()
            except OSError as exc:
                # It is closed all the same, and the others must be closed as well.
                self._loop.call_exception_handler(
                    {"message": "closing a listening socket failed", "exception": exc}
                )
        for file in self._socket_files:
            file.remove()
        self._socket_files.clear()
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

        On CPython 3.11 a server that is closed is not waited for: asyncio does not wait there.
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
        for waiter in self._closed_waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self._closed_waiters = None  # only now, as Ctrl-C may strike, and this be called again

    # The file of a Unix socket.

    def remove_on_close(self, path: str | bytes) -> None:
        """Remove the socket's file when the server closes, if it is still the same file."""
        file = SocketFile.at(path)
        if file is not None:
            self._socket_files.append(file)

    def leave_socket_files(self) -> None:
        """Do not remove any file after all."""
        self._socket_files.clear()
