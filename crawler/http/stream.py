"""Bytes over a connected socket, in the clear or through TLS.

Both kinds have the same verbs, and both use the loop for ``sock_recv`` and ``sock_sendall`` and for
nothing else: any asyncio loop will do.
"""

import asyncio
import contextlib
import select
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

# What one read asks the kernel for. CPython allocates this much before it knows how much will
# come; below 128 KiB that is a cheap allocation from the heap, above it is a memory mapping.
READ_SIZE = 64 * 1024
# So many reads may be without data, as those of a long handshake are; from then on the loop has a
# turn after each, as tickets could come without an end, and as fast as they are read.
FILLS = 8
# The two numbers of SO_LINGER.
_LINGER = "hh" if sys.platform == "win32" else "ii"


class Stream(Protocol):
    """What a connection needs of the socket below it.

    ``truncated`` is set when TCP was closed without the TLS farewell: the end of a body that has no
    length of its own may then have been cut off by a third party (RFC 9112, section 9.8).
    """

    @property
    def truncated(self) -> bool:
        """Whether the end was one without a farewell."""

    @property
    def peer(self) -> str:
        """The address of who is at the other end."""

    def recv(self) -> Coroutine[Any, Any, bytes]:
        """The next bytes, or ``b""`` when the other side has closed."""

    def send_all(self, data: bytes) -> Coroutine[Any, Any, None]:
        """Write all of ``data``."""

    def readable(self) -> bool:
        """Whether there is something to read, the end included; does not wait and loses nothing.

        Afterwards a stream that was readable is good for ``close`` alone.
        """

    def abort(self) -> None:
        """End both directions at once: a pending ``recv`` or ``send_all`` returns or raises."""

    def discard(self) -> None:
        """Have nothing sent any more that still waits in the socket; :meth:`close` comes next."""

    def close(self) -> None:
        """Give the socket back to the operating system."""


class PlainStream:
    """A stream without TLS."""

    __slots__ = ("_look", "_loop", "_sock", "truncated")

    def __init__(self, sock: socket.socket) -> None:
        self._look: Callable[[], bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self.truncated = False

    @property
    def peer(self) -> str:
        """The address of who is at the other end."""
        return _peer_of(self._sock)

    def recv(self) -> Coroutine[Any, Any, bytes]:
        """Read; see :class:`Stream`."""
        return self._loop.sock_recv(self._sock, READ_SIZE)

    def send_all(self, data: bytes) -> Coroutine[Any, Any, None]:
        """Write; see :class:`Stream`."""
        return self._loop.sock_sendall(self._sock, data)

    def readable(self) -> bool:
        """Look; see :class:`Stream`."""
        if self._look is None:
            self._look = _looking_at(self._sock)
        return self._look()

    def abort(self) -> None:
        """End both directions; see :class:`Stream`."""
        _shut_down(self._sock)

    def discard(self) -> None:
        """Forget what waits; see :class:`Stream`."""
        _discard(self._sock)

    def close(self) -> None:
        """Close; see :class:`Stream`."""
        _close(self._sock)


class TLSStream:
    """A stream through TLS: the protocol machine works on two buffers in memory.

    ``_incoming`` holds what the network sent and TLS has not read; ``_outgoing`` what TLS wants to
    send. Whenever the machine asks for more it is given one read of the socket, which may hold
    many records; before each such read, what it wants to say is sent.
    """

    __slots__ = (
        "_flushing",
        "_incoming",
        "_look",
        "_loop",
        "_outgoing",
        "_sock",
        "_tls",
        "truncated",
    )

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        server_name: str | None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._flushing = False
        self._look: Callable[[], bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name, session=session
        )
        self.truncated = False

    @property
    def peer(self) -> str:
        """The address of who is at the other end."""
        return _peer_of(self._sock)

    async def handshake(self) -> None:
        """Agree on keys and verify the certificate; raises ``ssl.SSLError`` or ``OSError``."""
        fills = 0
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
                fills += 1
                if fills > FILLS:
                    await asyncio.sleep(0)
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    await self._flush()  # the alert that tells the server why
                raise
            else:
                return await self._flush()

    async def recv(self) -> bytes:
        """Read; see :class:`Stream`."""
        fills = 0
        while True:
            try:
                return self._tls.read(READ_SIZE)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
                fills += 1
                if fills > FILLS:
                    await asyncio.sleep(0)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError:
                self.truncated = True
                return b""

    async def send_all(self, data: bytes) -> None:
        """Write; see :class:`Stream`."""
        self._tls.write(data)
        await self._flush()

    def readable(self) -> bool:
        """Look; see :class:`Stream`.

        What has come may be no data at all: TLS 1.3 sends tickets for later sessions when it likes.
        """
        if self._look is None:
            self._look = _looking_at(self._sock)
        if self._look():
            try:
                data = self._sock.recv(READ_SIZE)
            except OSError:
                return True
            if not data:
                return True
            self._incoming.write(data)
        elif not self._incoming.pending and not self._tls.pending():
            return False
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            pass  # the farewell, or nonsense
        return True

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection to the same server can resume, once the server has sent it."""
        return self._tls.session

    @property
    def resumed(self) -> bool:
        """Whether the handshake was a short one, thanks to an earlier session."""
        return bool(self._tls.session_reused)

    def abort(self) -> None:
        """End both directions; see :class:`Stream`."""
        _shut_down(self._sock)

    def discard(self) -> None:
        """Forget what waits; see :class:`Stream`."""
        _discard(self._sock)

    def close(self) -> None:
        """Close; see :class:`Stream`."""
        # The farewell is a courtesy: sent if the socket takes it now, and not waited for.
        with contextlib.suppress(OSError):
            self._tls.unwrap()
        if farewell := self._outgoing.read():
            with contextlib.suppress(OSError):
                self._sock.send(farewell)
        _close(self._sock)

    async def _fill(self) -> None:
        data = await self._loop.sock_recv(self._sock, READ_SIZE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        # A request that is still being sent while its reply is read makes two tasks come here. One
        # writes at a time, or records would mix, and it writes what the other one brought as well.
        if self._flushing:
            return
        self._flushing = True
        try:
            while self._outgoing.pending:
                await self._loop.sock_sendall(self._sock, self._outgoing.read())
        finally:
            self._flushing = False


class TunnelledStream(TLSStream):
    """TLS within a stream, which may be one through TLS itself: what a tunnel of a proxy holds."""

    __slots__ = ("_inner",)

    def __init__(
        self,
        inner: Stream,
        sock: socket.socket,
        context: ssl.SSLContext,
        server_name: str | None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        super().__init__(sock, context, server_name, session)
        self._inner = inner

    def readable(self) -> bool:
        """Look; see :class:`Stream`."""
        return bool(self._incoming.pending or self._tls.pending()) or self._inner.readable()

    def close(self) -> None:
        """Close; see :class:`Stream`."""
        self._inner.close()

    async def _fill(self) -> None:
        data = await self._inner.recv()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if self._flushing:
            return
        self._flushing = True
        try:
            while self._outgoing.pending:
                await self._inner.send_all(self._outgoing.read())
        finally:
            self._flushing = False


def _looking_at(sock: socket.socket) -> Callable[[], bool]:
    """A function that tells whether ``sock`` is readable now.

    To peek would do as well, and take three times as long: mostly there is nothing to read, and
    Python says so with an exception.
    """
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return lambda: bool(poll.poll(0))
    return lambda: bool(select.select((sock,), (), (), 0)[0])


def _peer_of(sock: socket.socket) -> str:
    try:
        address: str = sock.getpeername()[0]
    except OSError:  # it has gone
        return ""
    return address


def _close(sock: socket.socket) -> None:
    """Give the descriptor back: it is gone even if the system says that something failed.

    What was received is known, and what was sent nobody would ask for any more. An error here would
    only keep the others of a pool from being closed.
    """
    try:
        sock.close()
    except OSError:
        pass


def _discard(sock: socket.socket) -> None:
    # A socket that is closed in the usual way goes on sending what it has, for minutes if need be.
    with contextlib.suppress(OSError):  # it is closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0))


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already reset by the other side
        sock.shutdown(socket.SHUT_RDWR)
