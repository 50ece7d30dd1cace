"""What the parts of a simulated network may ask of each other.

A connection is given its machine, a table its sockets and a fault its network. None of their files
imports the file in which these are made: see `miniloop.kernel.contract`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from miniloop.testing.network.wire import Road, Wire

__all__ = [
    "ANY_ADDRESS",
    "ERROR",
    "HANGUP",
    "Address",
    "KnownHost",
    "KnownSocket",
    "Reading",
    "Station",
    "Troubled",
]

# The addresses that mean "any of mine", of IPv4 and of IPv6.
ANY_ADDRESS = ("0.0.0.0", "::")

# Bits of what a socket is ready for, beside those of `kernel.poller`. A poller is told of these two
# whether it asked for them or not.
ERROR = 0x008  # EPOLLERR
HANGUP = 0x010  # EPOLLHUP

# (host, port), or (host, port, flow, scope) of IPv6.
Address = tuple[Any, ...]


class Reading(Protocol):
    """How fast the programs of a machine read."""

    def allowed(self) -> int | None: ...  # bytes, None for as many as there are
    def took(self, count: int) -> None: ...
    def next_time(self, wanted: int) -> float: ...


class Station(Protocol):
    """A machine, as seen by its connections and ports."""

    name: str
    wire: Wire
    is_down: bool
    ends: dict[tuple[Address, Address], Any]

    @property
    def reading(self) -> Reading: ...
    def find(self, address: str) -> Any: ...  # a station, or None
    def road_to(self, target: Any) -> Road: ...
    def own_address(self, local: str, towards: str) -> str: ...
    def listening(self, address: Address) -> Any: ...  # a queue, or None
    def receiving(self, address: Address) -> Any: ...  # a port, or None
    def release(self, end: Any) -> None: ...
    def release_port(self, owner: Any) -> None: ...


class KnownSocket(Protocol):
    """A socket, as seen by the table of sockets."""

    @property
    def machine(self) -> Station: ...
    def events(self) -> int: ...
    def lose_power(self) -> None: ...


class KnownHost(Protocol):
    """A host, as seen by a fault."""

    @property
    def name(self) -> str: ...
    @property
    def is_down(self) -> bool: ...
    def crash(self) -> None: ...
    def restart(self) -> None: ...
    def read_slowly(self, rate: float | None) -> None: ...


class Troubled(Protocol):
    """A network, as seen by faults."""

    @property
    def here(self) -> KnownHost: ...
    @property
    def hosts(self) -> tuple[Any, ...]: ...
    def connected(self) -> list[tuple[Any, Any]]: ...
    @property
    def partition(self) -> Callable[..., None]: ...
    @property
    def cut(self) -> Callable[..., None]: ...
    @property
    def reset(self) -> Callable[..., int]: ...
    @property
    def half_close(self) -> Callable[..., int]: ...
    def heal(self) -> None: ...
    def fail_names(self) -> None: ...
    def restore_names(self) -> None: ...
    def note(self, what: str) -> None: ...
