"""Names: a resolver that knows the hosts of a simulated network, may be slow, and may fail.

Source: POSIX getaddrinfo(3); RFC 3493.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.testing.network.machine import LOOPBACKS, Machine, family_of_address
from miniloop.testing.network.wire import Wire

__all__ = ["Names"]

_KINDS = ((socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP))
_TEXTS = {
    socket.EAI_NONAME: "Name or service not known",
    socket.EAI_AGAIN: "Temporary failure in name resolution",
    socket.EAI_FAIL: "Non-recoverable failure in name resolution",
}


class Names:
    """Which names there are, and how the resolver behaves."""

    def __init__(self, wire: Wire, table: dict[str, tuple[str, ...]], delay: float) -> None:
        self._wire = wire
        self._table = table
        self._delay = delay
        self._delays: dict[str, float] = {}
        self._failures: dict[str, int] = {}  # the name, or "" for all; an EAI_ number

    def fail(self, name: str, error: int) -> None:
        """Have look-ups of `name` fail; of all names if it is empty."""
        self._failures[name] = error

    def succeed(self, name: str) -> None:
        """No more."""
        self._failures.pop(name, None)

    def delay(self, name: str, seconds: float) -> None:
        """Have look-ups of `name` take so long; of all names if it is empty."""
        if name:
            self._delays[name] = seconds
        else:
            self._delay = seconds

    async def look_up(
        self,
        loop: Loop,
        machine: Machine,
        host: Any,
        port: Any,
        *,
        family: int,
        kind: int,
        proto: int,
        flags: int,
    ) -> list[Any]:
        """As `loop.getaddrinfo`, after the resolver's delay."""
        name = _as_text(host)
        done = loop.create_future()
        delay = self._delays.get(name or "", self._delay)
        self._wire.after(delay, lambda: None if done.done() else done.set_result(None))
        await done
        return self.find(machine, name, port, family=family, kind=kind, proto=proto, flags=flags)

    def find(
        self,
        machine: Machine,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        kind: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """As `socket.getaddrinfo`, at once. Raises socket.gaierror."""
        number = _number_of(port)
        found = [
            (_family(address), known, protocol, "", _named(address, number))
            for address in self.addresses(machine, _as_text(host), flags)
            if family in (0, family_of_address(address))
            for known, protocol in _KINDS
            if kind in (0, known) and proto in (0, protocol)
        ]
        if not found:
            raise _error(socket.EAI_NONAME)
        return found

    def addresses(self, machine: Machine, host: str | None, flags: int = 0) -> Iterable[str]:
        """What a name stands for. Raises socket.gaierror."""
        if host is None:
            return ("0.0.0.0", "::") if flags & socket.AI_PASSIVE else LOOPBACKS
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        if host == "localhost":
            return LOOPBACKS
        name = host.rstrip(".").lower()
        for key in (name, ""):
            if key in self._failures:
                raise _error(self._failures[key])
        if flags & socket.AI_NUMERICHOST or name not in self._table:
            raise _error(socket.EAI_NONAME)
        return self._table[name]

    def first_address(self, machine: Machine, host: str, family: int) -> str:
        """One address of that family. Raises socket.gaierror."""
        for address in self.addresses(machine, host):
            if family_of_address(address) == family:
                return address
        raise _error(socket.EAI_NONAME)

    def name_of(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """As `socket.getnameinfo`. Raises socket.gaierror."""
        host, port = sockaddr[:2]
        if not flags & socket.NI_NUMERICHOST:
            if host in LOOPBACKS:
                return "localhost", str(port)
            for name, addresses in self._table.items():
                if host in addresses:
                    return name, str(port)
            if flags & socket.NI_NAMEREQD:
                raise _error(socket.EAI_NONAME)
        return host, str(port)


def _as_text(host: Any) -> str | None:
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii")
    return None if host is None or host == "" else str(host)


def _number_of(port: Any) -> int:
    if port is None or port in ("", b""):
        return 0
    try:
        return int(port)
    except ValueError:
        service = port.decode() if isinstance(port, bytes) else port
    try:
        return socket.getservbyname(service)
    except OSError:
        raise socket.gaierror(
            socket.EAI_SERVICE, "Servname not supported for ai_socktype"
        ) from None


def _family(address: str) -> socket.AddressFamily:
    return socket.AddressFamily(family_of_address(address))


def _named(address: str, port: int) -> tuple[Any, ...]:
    return (address, port, 0, 0) if ":" in address else (address, port)


def _error(number: int) -> socket.gaierror:
    return socket.gaierror(number, _TEXTS.get(number, "name resolution failed"))
