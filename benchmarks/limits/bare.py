"""An echo server in Python on ``select.epoll`` alone: the limit for a loop in plain Python."""

from __future__ import annotations

import select
import socket

__all__ = ["serve"]

ROOM = 256 * 1024  # bytes read at once
DATAGRAM = 65536


def serve(listener: socket.socket, stop: socket.socket, kind: str) -> int:
    """Echo until `stop` is readable; see `benchmarks.limits.Server`."""
    listener.setblocking(False)
    with select.epoll() as poller:
        poller.register(stop, select.EPOLLIN)
        poller.register(listener, select.EPOLLIN)
        if kind == "udp":
            return _datagrams(poller, listener, stop.fileno())
        if kind == "visits":
            return _visits(poller, listener, stop.fileno())
        return _streams(poller, listener, stop.fileno())


def _streams(poller: select.epoll, listener: socket.socket, stop: int) -> int:
    echoed = 0
    door = listener.fileno()
    buffer = memoryview(bytearray(ROOM))
    sockets: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    try:
        while True:
            for fd, _ in poller.poll():
                if fd == stop:
                    return echoed
                if fd == door:
                    sock, _ = listener.accept()
                    sock.setblocking(False)
                    if sock.family == socket.AF_INET:
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    sockets[sock.fileno()] = sock
                    poller.register(sock, select.EPOLLIN)
                    continue
                sock = sockets[fd]
                if fd in unsent:
                    rest = unsent.pop(fd)
                    rest = rest[sock.send(rest) :]
                    if rest:
                        unsent[fd] = rest
                    else:
                        poller.modify(fd, select.EPOLLIN)
                    continue
                # One buffer for all: `recv` would make a new one of this size each time.
                size = sock.recv_into(buffer)
                if not size:
                    poller.unregister(fd)
                    sockets.pop(fd).close()
                    continue
                echoed += size
                try:
                    sent = sock.send(buffer[:size])
                except BlockingIOError:
                    sent = 0
                if sent < size:
                    # No more is read from here until all of it has left.
                    unsent[fd] = bytes(buffer[sent:size])
                    poller.modify(fd, select.EPOLLOUT)
    finally:
        for sock in sockets.values():
            sock.close()


def _visits(poller: select.epoll, listener: socket.socket, stop: int) -> int:
    visits = 0
    door = listener.fileno()
    sockets: dict[int, socket.socket] = {}
    while True:
        for fd, _ in poller.poll():
            if fd == stop:
                return visits
            if fd == door:
                sock, _ = listener.accept()
                sock.setblocking(False)
                sockets[sock.fileno()] = sock
                poller.register(sock, select.EPOLLIN)
                continue
            sock = sockets.pop(fd)
            sock.send(sock.recv(1))
            sock.close()
            visits += 1


def _datagrams(poller: select.epoll, sock: socket.socket, stop: int) -> int:
    echoed = 0
    while True:
        for fd, _ in poller.poll():
            if fd == stop:
                return echoed
            try:
                while True:
                    data, address = sock.recvfrom(DATAGRAM)
                    echoed += len(data)
                    sock.sendto(data, address)
            except BlockingIOError:
                continue  # that was all for now
