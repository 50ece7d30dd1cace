"""UDP: datagrams, which arrive whole, once, several times, in another order, or never.

Which of these happens to a datagram is drawn from the link's probabilities and the network's seed.
A datagram to a port where nobody listens is answered by a message of ICMP; a socket that is
connected to that port is then told ECONNREFUSED, once, as on Linux. One that finds the receiver's
buffer full is dropped.

Source: udp(7).
"""

from __future__ import annotations

import errno
from collections import deque
from typing import Any

from miniloop.kernel.poller import READ, WRITE
from miniloop.testing.network.contract import ERROR, Address, Station
from miniloop.testing.network.socket_errors import PendingError, error_of, would_block
from miniloop.testing.network.tcp import BUFFER_SIZE

__all__ = ["LONGEST_DATAGRAM", "Port"]

# Bytes of payload over IPv4.
LONGEST_DATAGRAM = 65_507
HEADER = 28


class Port(PendingError):
    """A UDP socket, as its kernel has it."""

    def __init__(self, machine: Station) -> None:
        super().__init__()
        self.machine = machine
        self.local: Address | None = None
        self.remote: Address | None = None  # where all goes, and from where alone things come
        self.receive_size = BUFFER_SIZE * 4
        self.notify: Any = lambda: None
        self.closed = False
        self._inbox: deque[tuple[bytes, Address]] = deque()
        self._waiting = 0  # bytes in it

    def events(self) -> int:
        """What poll(2) would say, in the bits of epoll."""
        found = WRITE
        if self._inbox:
            found |= READ
        return found | READ | ERROR if self.error else found

    def send(self, data: memoryview, address: Address) -> int:
        """Send one datagram."""
        self.raise_error()
        if self.machine.is_down:
            raise error_of(errno.ENETDOWN)
        if len(data) > LONGEST_DATAGRAM:
            raise error_of(errno.EMSGSIZE)
        target = self.machine.find(address[0])
        if target is None:
            return len(data)  # nobody answers; ARP gives up much later, and tells nobody
        road, draw = self.machine.road_to(target), self.machine.wire.random.random
        link = road.link
        copies = 1
        if link.loss and draw() < link.loss:
            copies = 0
        elif link.duplicates and draw() < link.duplicates:
            copies = 2
        sender = self._name_towards(target, address)
        for _ in range(copies):
            when = road.arrival(HEADER + len(data))
            if link.reordering and draw() < link.reordering:
                # It takes a longer way, and others overtake it.
                when += (link.latency + link.jitter or 0.001) * (1 + draw())
            self.machine.wire.at(when, self._delivery(road, target, address, bytes(data), sender))
        return len(data)

    def _name_towards(self, target: Station, address: Address) -> Address:
        assert self.local is not None
        host = self.machine.own_address(self.local[0], address[0])
        return (host, *self.local[1:])

    def _delivery(
        self, road: Any, target: Station, address: Address, data: bytes, sender: Address
    ) -> Any:
        def deliver() -> None:
            if road.obstacles:
                return
            port = target.receiving(address)
            if port is None:
                back = target.road_to(self.machine)
                when = back.arrival(HEADER)
                target.wire.at(when, lambda: None if back.obstacles else self._refused(address))
            else:
                port.arrived(data, sender)

        return deliver

    def _refused(self, address: Address) -> None:
        if self.remote is not None and self.remote[:2] == address[:2] and not self.closed:
            self.error = errno.ECONNREFUSED
            self.notify()

    def arrived(self, data: bytes, sender: Address) -> None:
        """A datagram has come; it is dropped if there is no room or it is from a stranger."""
        if self.remote is not None and self.remote[:2] != sender[:2]:
            return
        if self._waiting + len(data) > self.receive_size:
            return
        self._inbox.append((data, sender))
        self._waiting += len(data)
        self.notify()

    def receive(self, *, peek: bool = False) -> tuple[bytes, Address]:
        """The next datagram, and who sent it. Raises BlockingIOError if there is none."""
        self.raise_error()
        if not self._inbox:
            raise would_block()
        if peek:
            return self._inbox[0]
        data, sender = self._inbox.popleft()
        self._waiting -= len(data)
        return data, sender

    def close(self) -> None:
        """The program closes it, or the machine has lost its power."""
        self.closed = True
        self.machine.release_port(self)
