"""The other end: a socket or a pipe that does as the program says, and no more than it can."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import zlib
from typing import Any

from tests.differential.io.world import World, payload

__all__ = ["PipePeer", "SocketPeer", "connected_pair"]

AT_ONCE = 65536


class SocketPeer:
    """A stream socket, with TLS if a context is given."""

    def __init__(
        self, world: World, name: str, sock: socket.socket, tls: ssl.SSLContext | None = None,
        *, server_side: bool = False,
    ) -> None:  # fmt: skip
        sock.setblocking(False)
        self.world, self.name, self._sock = world, name, sock
        self._out = bytearray()
        self.reads: int | None = None  # how many bytes it reads yet; None: all there are
        self._count = self._checksum = 0
        self._ended: str | None = None
        self._finishing = self._finished = self._closing = False
        self._closed = False
        self._tls: ssl.SSLObject | None = None
        self._raw = bytearray()  # of TLS, for the wire
        if tls is not None:
            self.upgrade(tls, server_side)

    # What a program may order.

    def upgrade(self, tls: ssl.SSLContext, server_side: bool) -> None:
        if self._tls is not None or self._closed:
            return
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=None if server_side else "localhost",
        )
        self._shaken = False

    def send(self, size: int) -> None:
        self._say(payload(size, 3))

    def send_line(self, text: str) -> None:
        self._say(text.encode())

    def _say(self, data: bytes) -> None:
        if self._tls is None or not self._finished:  # TLS has no word after the last
            self._out += data

    def finish(self) -> None:
        self._finishing = self._finished = True

    def hang_up(self) -> None:
        self._closing = True

    def reset(self) -> None:
        if not self._closed:
            linger = struct.pack("ii", 1, 0)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close()

    def dawdle(self, reads: int | None) -> None:
        self.reads = reads

    def summary(self) -> Any:
        return self._count, self._checksum, self._ended

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._sock.close()

    # What it does by itself.

    def pump(self) -> bool:
        """Read and write what can be. True if something was done."""
        if self._closed:
            return False
        busy = self._read()
        busy = self._write() or busy
        if self._closed or self._out or self._raw:
            return busy
        if self._closing:
            self.close()
            return True
        if self._finishing:
            self._finishing = False
            if self._tls is None:
                try:
                    self._sock.shutdown(socket.SHUT_WR)
                except OSError as exc:
                    self.world.note(self.name, "cannot finish", exc)
            else:
                self._do_tls(self._tls.unwrap)
            return True
        return busy

    def _read(self) -> bool:
        busy = False
        while self._ended is None and self.reads != 0:
            size = AT_ONCE if self.reads is None else min(self.reads, AT_ONCE)
            try:
                data = self._sock.recv(size)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as exc:
                self._end(type(exc).__name__)
                break
            if not data:
                self._end("finished")
                break
            busy = True
            if self.reads is not None:
                self.reads -= len(data)
            if self._tls is None:
                self._got(data)
            else:
                self._incoming.write(data)
                self._read_tls(self._tls)
        return busy

    def _read_tls(self, tls: ssl.SSLObject) -> None:
        if not self._shaken and not self._shake(tls):
            return
        while True:
            try:
                data = tls.read(AT_ONCE)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as exc:
                self._end(type(exc).__name__)
                return
            if not data:
                self._end("told the end")
                self._do_tls(tls.unwrap)  # and says so too
                return
            self._got(data)

    def _shake(self, tls: ssl.SSLObject) -> bool:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as exc:
            self._raw += self._outgoing.read()
            self._end(type(exc).__name__)
            return False
        self._shaken = True
        return True

    def _do_tls(self, call: Any) -> None:
        try:
            call()
        except ssl.SSLError:
            pass  # half of it is done, and the rest comes with what the other side says
        self._raw += self._outgoing.read()
        self._flush(self._raw)

    def _got(self, data: bytes) -> None:
        self._count += len(data)
        self._checksum = zlib.crc32(data, self._checksum)

    def _end(self, how: str) -> None:
        if self._ended is None:
            self._ended = how
            self.world.note(self.name, "heard the end", how)

    def _write(self) -> bool:
        tls = self._tls
        if tls is None:
            return self._flush(self._out)
        if not self._shaken:
            if self._ended is None:
                self._shake(tls)
        elif self._out and self._ended is None:
            try:
                tls.write(bytes(self._out))
                self._out.clear()
            except ssl.SSLError as exc:
                self.world.note(self.name, "cannot write", type(exc).__name__)
                self._out.clear()
        self._raw += self._outgoing.read()
        return self._flush(self._raw)

    def _flush(self, data: bytearray) -> bool:
        busy = False
        while data:
            try:
                sent = self._sock.send(memoryview(bytes(data[:AT_ONCE])))
            except (BlockingIOError, InterruptedError):
                break
            except OSError as exc:
                data.clear()
                self._out.clear()
                self.world.note(self.name, "cannot send", type(exc).__name__)
                break
            del data[:sent]
            busy = True
        return busy


class PipePeer:
    """The other end of a pipe, which only reads or only writes."""

    def __init__(self, world: World, name: str, fd: int, *, reading: bool) -> None:
        os.set_blocking(fd, False)
        self.world, self.name, self._fd, self._reading = world, name, fd, reading
        self._out = bytearray()
        self.reads: int | None = None
        self._count = self._checksum = 0
        self._ended: str | None = None
        self._closing = self._closed = False

    def send(self, size: int) -> None:
        self._out += payload(size, 3)

    def send_line(self, text: str) -> None:
        self._out += text.encode()

    def hang_up(self) -> None:
        self._closing = True

    finish = hang_up

    def reset(self) -> None:
        self.close()

    def dawdle(self, reads: int | None) -> None:
        self.reads = reads

    def summary(self) -> Any:
        return self._count, self._checksum, self._ended

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._fd)

    def pump(self) -> bool:
        busy = False
        while self._reading and not self._closed and self._ended is None and self.reads != 0:
            try:
                data = os.read(self._fd, AT_ONCE if self.reads is None else self.reads)
            except BlockingIOError:
                break
            if not data:
                self._ended = "finished"
                self.world.note(self.name, "heard the end", self._ended)
                break
            if self.reads is not None:
                self.reads -= len(data)
            self._count += len(data)
            self._checksum = zlib.crc32(data, self._checksum)
            busy = True
        while self._out and not self._closed and not self._reading:
            try:
                del self._out[: os.write(self._fd, self._out[:AT_ONCE])]
            except BlockingIOError:
                break
            except OSError as exc:
                self._out.clear()
                self.world.note(self.name, "cannot send", exc)
                break
            busy = True
        if self._closing and not self._out and not self._closed:
            self.close()
            busy = True
        return busy


def connected_pair(world: World, family: str) -> tuple[socket.socket, socket.socket]:
    """Two stream sockets that are connected: ours and the peer's."""
    if family == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    for sock in (ours, theirs):
        # Else their sizes depend on the machine, and on how long they have been used.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs
