"""A network in memory: a user of the loop's joint for sockets and names.

No packet is ever late or lost here. What a send call takes is there at once; a buffer has room for
`ROOM` bytes.
"""

from __future__ import annotations

import errno
import itertools
import selectors
import socket
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import miniloop
from miniloop.kernel.poller import SelectorPoller

ROOM = 100_000
NAMES = {"server.test": "10.0.0.1", "nobody.test": "10.0.0.2"}


class MemorySocket:
    """A stream or datagram socket of a network in memory."""

    def __init__(self, network: MemoryNetwork, family: int, kind: int, proto: int) -> None:
        self.network = network
        self.family, self.type, self.proto = family, kind, proto
        self.number = next(network.numbers)
        network.sockets[self.number] = self
        self.name: Any = None
        self.peer: MemorySocket | None = None
        self.arrived = bytearray()
        self.datagrams: deque[tuple[bytes, Any]] = deque()
        self.ended = False  # the peer sends no more
        self.visitors: deque[MemorySocket] | None = None  # of a listening socket

    def fileno(self) -> int:
        return self.number

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def gettimeout(self) -> float:
        return 0.0

    def setsockopt(self, *option: int) -> None:
        pass

    def getsockopt(self, level: int, option: int) -> int:
        assert option == socket.SO_ERROR
        return 0

    def getsockname(self) -> Any:
        return self.name or ("0.0.0.0", 0)

    def getpeername(self) -> Any:
        if self.peer is None:
            raise OSError(errno.ENOTCONN, "not connected")
        return self.peer.getsockname()

    # Names.

    def bind(self, address: Any) -> None:
        if isinstance(address, tuple):
            host, port = address
            address = host, port or next(self.network.ports)
        if (self.type, address) in self.network.bound:
            raise OSError(errno.EADDRINUSE, "in use")
        self.name = address
        self.network.bound[self.type, address] = self

    def listen(self, backlog: int) -> None:
        self.visitors = deque()

    def connect(self, address: Any) -> None:
        found = self.network.bound.get((self.type, address))
        if self.name is None:
            self.bind(("10.0.0.9", 0))
        if self.type == socket.SOCK_DGRAM:
            self.peer = found
            return
        if found is None or found.visitors is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody is at {address!r}")
        self.peer = MemorySocket(self.network, self.family, self.type, self.proto)
        self.peer.name, self.peer.peer = found.name, self
        found.visitors.append(self.peer)
        # As a kernel does, which tells of the end by making the socket writable.
        raise BlockingIOError(errno.EINPROGRESS, "in progress")

    def accept(self) -> tuple[MemorySocket, Any]:
        if not self.visitors:
            raise BlockingIOError(errno.EAGAIN, "nobody waits")
        visitor = self.visitors.popleft()
        return visitor, visitor.getpeername()

    # Data.

    def readable(self) -> bool:
        return bool(self.arrived or self.datagrams or self.ended or self.visitors)

    def writable(self) -> bool:
        return self.peer is None or len(self.peer.arrived) < ROOM

    def send(self, data: Any) -> int:
        if self.type == socket.SOCK_DGRAM:
            assert self.peer is not None
            return self.sendto(data, self.peer.name)
        if self.peer is None or self.peer.number < 0:
            raise BrokenPipeError(errno.EPIPE, "the peer is gone")
        data = memoryview(data).cast("B")[: ROOM - len(self.peer.arrived)]
        if not data:
            raise BlockingIOError(errno.EAGAIN, "no room")
        self.peer.arrived += data
        return len(data)

    def sendmsg(self, pieces: Iterable[Any]) -> int:
        return self.send(b"".join(pieces))

    def sendto(self, data: Any, address: Any) -> int:
        target = self.network.bound.get((self.type, address))
        if target is not None:  # or it is lost, as datagrams are
            target.datagrams.append((bytes(data), self.getsockname()))
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self.arrived and not self.ended:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        data = bytes(self.arrived[:size])
        del self.arrived[:size]
        return data

    def recv_into(self, buffer: Any) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        if not self.datagrams:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        data, sender = self.datagrams.popleft()
        return data[:size], sender

    def shutdown(self, how: int) -> None:
        if self.peer is not None:
            self.peer.ended = True

    def close(self) -> None:
        if self.number >= 0:
            self.shutdown(socket.SHUT_RDWR)
            del self.network.sockets[self.number]
            if self.network.bound.get((self.type, self.name)) is self:
                del self.network.bound[self.type, self.name]
            self.number = -1


class MemoryNetwork:
    """Makes such sockets, knows a few names, and writes down what it was asked."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1 << 30)  # far above every real descriptor
        self.ports = itertools.count(40_000)
        self.sockets: dict[int, MemorySocket] = {}
        self.bound: dict[tuple[int, Any], MemorySocket] = {}
        self.asked: list[Any] = []

    def make_socket(self, family: int, kind: int, proto: int) -> Any:
        return MemorySocket(self, family, kind, proto)

    async def getaddrinfo(
        self,
        loop: Any,
        host: Any,
        port: Any,
        *,
        family: int,
        type: int,
        proto: int,
        flags: int,
    ) -> list[Any]:
        self.asked.append(host)
        if host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "unknown here")
        return [(socket.AF_INET, type, proto, "", (NAMES[host], port))]

    async def getnameinfo(self, loop: Any, sockaddr: Any, flags: int) -> tuple[str, str]:
        self.asked.append(sockaddr)
        (name,) = (name for name, address in NAMES.items() if address == sockaddr[0])
        return name, str(sockaddr[1])


class MemorySelector(selectors.BaseSelector):
    """Knows the sockets in memory, and by another selector real descriptors."""

    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if fileobj not in self._network.sockets:
            return self._real.register(fileobj, events, data)
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = self._keys.pop(fileobj, None)
        return self._real.unregister(fileobj) if key is None else key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = []
        for number, key in self._keys.items():
            sock = self._network.sockets[number]
            events = key.events & (
                selectors.EVENT_READ * sock.readable() | selectors.EVENT_WRITE * sock.writable()
            )
            if events:
                found.append((key, events))
        return found + self._real.select(0 if found else timeout)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {**self._keys, **self._real.get_map()}


def memory_loop(network: MemoryNetwork) -> miniloop.EventLoop:
    """A loop whose sockets are in memory."""
    return miniloop.EventLoop(
        poller=SelectorPoller(MemorySelector(network)),
        network=network,
    )
