"""A machine: the kernel's side of a host: its addresses, ports, and roads to other machines."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import TypeVar

from miniloop.testing.network.contract import ANY_ADDRESS, Address
from miniloop.testing.network.socket_errors import error_of
from miniloop.testing.network.tcp import End, Queue
from miniloop.testing.network.udp import Port
from miniloop.testing.network.wire import Road, Wire

__all__ = ["Machine", "family_of_address"]

T = TypeVar("T")

# Ports that the kernel hands out, as IANA says (RFC 6335).
FIRST_EPHEMERAL, LAST_EPHEMERAL = 49_152, 65_535

LOOPBACKS = ("127.0.0.1", "::1")


class Pace:
    """How fast a machine's programs read: a bucket of bytes that fills with time."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rate: float | None = None
        self._bytes = 0.0
        self._filled_at = 0.0

    def limit(self, rate: float | None) -> None:
        """So many bytes a second; None for no limit."""
        if rate is not None and not rate > 0:
            raise ValueError(f"a rate must be positive, in bytes a second, got {rate!r}")
        self._rate, self._bytes, self._filled_at = rate, 0.0, self._wire.clock()

    def allowed(self) -> int | None:
        """How many bytes may be read now; None if there is no limit."""
        if self._rate is None:
            return None
        now = self._wire.clock()
        most = max(1.0, self._rate / 10)
        self._bytes = min(most, self._bytes + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return int(self._bytes + 1e-6)

    def took(self, count: int) -> None:
        """So many were read."""
        self._bytes -= count

    def next_time(self, wanted: int) -> float:
        """When that many may be read, or a tenth of a second's worth of them."""
        assert self._rate is not None
        missing = min(wanted, max(1.0, self._rate / 10)) - self._bytes
        return self._filled_at + max(missing, 1e-6) / self._rate


class Machine:
    """What a host has of the network."""

    def __init__(
        self,
        name: str,
        addresses: tuple[str, ...],
        wire: Wire,
        find: Callable[[str], Machine | None],
        road: Callable[[Machine, Machine], Road],
    ) -> None:
        self.name = name
        self.addresses = addresses
        self.wire = wire
        self.is_down = False
        self.reading = Pace(wire)
        self.ends: dict[tuple[Address, Address], End] = {}
        self._find = find
        self._road = road
        self._listening: dict[tuple[str, int], Queue] = {}
        self._ports: dict[tuple[str, int], Port] = {}
        # What is bound: (kind, address, port), and how many share it.
        self._bound: dict[tuple[int, str, int], int] = {}
        self._next_port = FIRST_EPHEMERAL

    def find(self, address: str) -> Machine | None:
        """The machine that an address leads to from here; None if it leads nowhere."""
        if address in ANY_ADDRESS or ipaddress.ip_address(address).is_loopback:
            return self
        return self._find(address)

    def road_to(self, target: Machine) -> Road:
        """How packets get there."""
        return self._road(self, target)

    def own_address(self, local: str, towards: str) -> str:
        """Which of our addresses packets to `towards` come from. Raises OSError if none can be."""
        if local not in ANY_ADDRESS:
            return local
        family = family_of_address(towards)
        if towards in ANY_ADDRESS or ipaddress.ip_address(towards).is_loopback:
            return LOOPBACKS[family == socket.AF_INET6]
        for address in self.addresses:
            if family_of_address(address) == family:
                return address
        raise error_of(errno.ENETUNREACH)

    # Ports.

    def bind(self, kind: int, host: str, port: int, *, shared: bool) -> int:
        """Take a port, any if it is 0, on one address or all. Raises OSError."""
        ours = host in self.addresses or host in ANY_ADDRESS
        if not ours and not ipaddress.ip_address(host).is_loopback:
            raise error_of(errno.EADDRNOTAVAIL)
        if port == 0:
            port = self._free_port(kind, host)
        elif not shared and self._is_taken(kind, host, port):
            raise error_of(errno.EADDRINUSE)
        self._bound[kind, host, port] = self._bound.get((kind, host, port), 0) + 1
        return port

    def unbind(self, kind: int, host: str, port: int) -> None:
        """Give the port back."""
        left = self._bound.get((kind, host, port), 0) - 1
        if left > 0:
            self._bound[kind, host, port] = left
        else:
            self._bound.pop((kind, host, port), None)

    def _is_taken(self, kind: int, host: str, port: int) -> bool:
        family = family_of_address(host)
        for other_kind, other, number in self._bound:
            if (other_kind, number) != (kind, port) or family_of_address(other) != family:
                continue
            if other == host or host in ANY_ADDRESS or other in ANY_ADDRESS:
                return True
        return False

    def _free_port(self, kind: int, host: str) -> int:
        for _ in range(FIRST_EPHEMERAL, LAST_EPHEMERAL + 1):
            port = self._next_port
            self._next_port = port + 1 if port < LAST_EPHEMERAL else FIRST_EPHEMERAL
            if not self._is_taken(kind, host, port):
                return port
        raise error_of(errno.EADDRINUSE)

    def listen(self, host: str, port: int, queue: Queue) -> None:
        """Have connections to that address put into `queue`. Raises OSError if others have it."""
        if self._listening.setdefault((host, port), queue) is not queue:
            raise error_of(errno.EADDRINUSE)

    def listening(self, address: Address) -> Queue | None:
        """Who listens there."""
        return self._at(self._listening, address)

    def stop_listening(self, queue: Queue) -> None:
        """Connections that nobody has accepted are reset."""
        self._listening = {key: it for key, it in self._listening.items() if it is not queue}
        while queue.ready:
            queue.ready.popleft().reset()

    def receive_at(self, host: str, port: int, owner: Port) -> None:
        """Have datagrams to that address given to `owner`."""
        self._ports[host, port] = owner

    def receiving(self, address: Address) -> Port | None:
        """Who receives datagrams there."""
        return self._at(self._ports, address)

    def release_port(self, owner: Port) -> None:
        """It receives no more."""
        self._ports = {key: it for key, it in self._ports.items() if it is not owner}

    def _at(self, table: dict[tuple[str, int], T], address: Address) -> T | None:
        host, port = address[:2]
        exact = table.get((host, port))
        if exact is not None:
            return exact
        return table.get((ANY_ADDRESS[family_of_address(host) == socket.AF_INET6], port))

    # Connections.

    def release(self, end: End) -> None:
        """The connection is over."""
        if self.ends.get((end.local, end.remote)) is end:
            del self.ends[end.local, end.remote]

    def lose_power(self) -> None:
        """Everything that the kernel knew is gone, and nobody is told."""
        self.is_down = True
        for end in list(self.ends.values()):
            end.vanish()
        self.ends.clear()
        self._listening.clear()
        self._ports.clear()
        self._bound.clear()


def family_of_address(address: str) -> int:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET
