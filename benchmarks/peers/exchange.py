"""The load: connections that each send a request and wait for the whole reply, over and over.

One connection is driven with blocking calls, which is two system calls an exchange and the least
that a client can do. Several are driven by epoll, level-triggered, in this one thread: in C
(``native/ping_pong.c``) where there is a compiler, since a client in Python takes as long for a
message as the server that it measures; else, and for TLS, in Python.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from benchmarks import native
from benchmarks.certificate import client_context

__all__ = ["connect", "ping_pong"]

# Without any progress for so long, the server under test is given up.
PATIENCE = 20.0  # seconds

FAMILIES = {
    "tcp": (socket.AF_INET, socket.SOCK_STREAM),
    "udp": (socket.AF_INET, socket.SOCK_DGRAM),
    "tls": (socket.AF_INET, socket.SOCK_STREAM),
    "unix": (socket.AF_UNIX, socket.SOCK_STREAM),
}


def connect(family: str, address: Any) -> socket.socket:
    """A blocking socket that is connected to `address`; for TLS, after the handshake."""
    sock = socket.socket(*FAMILIES[family])
    try:
        sock.settimeout(PATIENCE)
        sock.connect(tuple(address) if isinstance(address, list) else address)
        if family in ("tcp", "tls"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == "tls":
            return client_context().wrap_socket(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def ping_pong(
    sockets: Sequence[socket.socket], request: bytes, reply_size: int, times: int
) -> None:
    """Exchange `request` for a reply of `reply_size` bytes, `times` on each of `sockets`."""
    if len(sockets) == 1:
        _ping_pong_alone(sockets[0], request, reply_size, times)
    elif native.compiler() and not any(isinstance(sock, ssl.SSLSocket) for sock in sockets):
        _ping_pong_in_c(sockets, request, reply_size, times)
    else:
        _ping_pong_together(sockets, request, reply_size, times)


def _ping_pong_alone(sock: socket.socket, request: bytes, reply_size: int, times: int) -> None:
    buffer = memoryview(bytearray(reply_size))
    for _ in range(times):
        sock.sendall(request)
        got = 0
        while got < reply_size:
            count = sock.recv_into(buffer[got:])
            if count == 0:
                raise ConnectionError("the server under test hung up")
            got += count


def _ping_pong_in_c(
    sockets: Sequence[socket.socket], request: bytes, reply_size: int, times: int
) -> None:
    for sock in sockets:
        sock.setblocking(False)
    fds = (ctypes.c_int * len(sockets))(*(sock.fileno() for sock in sockets))
    result = native.library("ping_pong").ping_pong(
        fds,
        len(sockets),
        request,
        ctypes.c_size_t(len(request)),
        ctypes.c_size_t(reply_size),
        ctypes.c_long(times),
        int(PATIENCE * 1000),
    )
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"the exchange with the server under test: {os.strerror(error)}")


class _Conversation:
    """One of many connections: what it has yet to send, to receive and to begin."""

    __slots__ = ("awaited", "left", "sock", "unsent")

    def __init__(self, sock: socket.socket, times: int) -> None:
        self.sock = sock
        self.left = times
        self.unsent: bytes | memoryview = b""
        self.awaited = 0


def _ping_pong_together(
    sockets: Sequence[socket.socket], request: bytes, reply_size: int, times: int
) -> None:
    poller = select.epoll(len(sockets))
    talks = {sock.fileno(): _Conversation(sock, times) for sock in sockets}
    buffer = memoryview(bytearray(min(reply_size, 256 * 1024)))
    try:
        for fd, talk in talks.items():
            talk.sock.setblocking(False)
            poller.register(fd, select.EPOLLIN)
            _begin(poller, talk, request, reply_size)
        unfinished = len(talks)
        while unfinished:
            events = poller.poll(PATIENCE)
            if not events:
                raise TimeoutError(f"nothing came back for {PATIENCE} s on {unfinished} sockets")
            for fd, event in events:
                talk = talks[fd]
                if event & select.EPOLLOUT:
                    _send(poller, talk)
                if event & ~select.EPOLLOUT and not _receive(talk, buffer):
                    talk.left -= 1
                    if talk.left:
                        _begin(poller, talk, request, reply_size)
                    else:
                        unfinished -= 1
    finally:
        poller.close()


def _begin(poller: select.epoll, talk: _Conversation, request: bytes, reply_size: int) -> None:
    talk.unsent = request
    talk.awaited = reply_size
    _send(poller, talk)


def _send(poller: select.epoll, talk: _Conversation) -> None:
    """Send what fits; ask to be told when there is room for the rest."""
    waiting = isinstance(talk.unsent, memoryview)
    try:
        sent = talk.sock.send(talk.unsent)
    except (BlockingIOError, ssl.SSLWantWriteError):
        sent = 0
    if sent == len(talk.unsent):
        talk.unsent = b""
        if waiting:
            poller.modify(talk.sock.fileno(), select.EPOLLIN)
    else:
        talk.unsent = memoryview(talk.unsent)[sent:]
        if not waiting:
            poller.modify(talk.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)


def _receive(talk: _Conversation, buffer: memoryview) -> bool:
    """Receive what is there; whether more of the reply is to come."""
    while talk.awaited:
        try:
            count = talk.sock.recv_into(buffer[: talk.awaited])
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        if count == 0:
            raise ConnectionError("the server under test hung up")
        talk.awaited -= count
        if talk.awaited and not isinstance(talk.sock, ssl.SSLSocket):
            return True  # epoll tells when there is more; TLS may hold some that epoll cannot see
    return False
