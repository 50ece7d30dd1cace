"""From names to addresses: `getaddrinfo` without blocking the loop.

The resolver of the C library blocks, for seconds if a name server is down, so it runs in the
executor. Address literals such as `127.0.0.1` and `::1` are parsed here: a program that uses only
literals never starts a thread.

Source: POSIX getaddrinfo(3), RFC 3493; RFC 4007 for the `%scope` of an IPv6 literal, which is left
to the C library.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Any

from miniloop.kernel.contract import CompleteLoop

__all__ = ["AddressInfo", "getaddrinfo", "getnameinfo", "parse_literal", "resolve"]

# As socket.getaddrinfo gives it: family, type, protocol, canonical name, socket address.
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

_FAMILIES = (socket.AF_INET, socket.AF_INET6) if socket.has_ipv6 else (socket.AF_INET,)
_PROTOCOLS: dict[int, int] = {
    socket.SOCK_STREAM: socket.IPPROTO_TCP,
    socket.SOCK_DGRAM: socket.IPPROTO_UDP,
}
_TAKEN_PROTOCOLS = (0, *_PROTOCOLS.values())


def parse_literal(
    host: Any,
    port: Any,
    family: int,
    kind: int,
    proto: int,
    flowinfo: int = 0,
    scopeid: int = 0,
) -> AddressInfo | None:
    """The address information of a literal, or None if it needs the resolver.

    `kind` is the socket type; only streams and datagrams of the internet families are known here.
    """
    wanted = _PROTOCOLS.get(kind)
    # TCP for datagrams, or UDP for streams, is taken for a mistake, as by asyncio: streams use TCP.
    if wanted is None or proto not in _TAKEN_PROTOCOLS or host is None:
        return None
    if port is None or port in ("", b""):
        number = 0
    else:
        try:
            number = int(port)  # a service name is for the resolver
        except (TypeError, ValueError):
            return None
    if isinstance(host, bytes):
        try:
            host = host.decode("ascii")
        except UnicodeDecodeError:
            return None
    if not isinstance(host, str) or "%" in host:
        return None
    found = _literal_family(host, _FAMILIES if family == socket.AF_UNSPEC else (family,))
    if found is None:
        return None
    if found == socket.AF_INET6:
        return found, kind, wanted, "", (host, number, flowinfo, scopeid)
    return found, kind, wanted, "", (host, number)


# A client asks twice for each connection, and of few hosts.
@lru_cache(maxsize=256)
def _literal_family(host: str, families: tuple[int, ...]) -> int | None:
    """Which of these families `host` is a literal of; None if it is a name."""
    for family in families:
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):  # ValueError: a NUL inside, for getaddrinfo to refuse
            continue
        return family
    return None


async def getaddrinfo(
    loop: CompleteLoop,
    host: Any,
    port: Any,
    *,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """`socket.getaddrinfo`, in the executor unless host and port are literals."""
    is_literal = isinstance(host, str) and _literal_family(host, _FAMILIES) is not None
    if is_literal and (port is None or isinstance(port, int)):
        # The C library takes literals apart by itself; it needs no thread for that.
        flags |= socket.AI_NUMERICHOST
        return list(socket.getaddrinfo(host, port, family, type, proto, flags))
    found = await loop.run_in_executor(
        None, socket.getaddrinfo, host, port, family, type, proto, flags
    )
    return list(found)


async def getnameinfo(loop: CompleteLoop, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
    """`socket.getnameinfo`, in the executor."""
    names: tuple[str, str] = await loop.run_in_executor(None, socket.getnameinfo, sockaddr, flags)
    return names


async def resolve(
    loop: CompleteLoop,
    address: Any,
    *,
    family: int = 0,
    kind: int = socket.SOCK_STREAM,
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """Every address that `(host, port)` stands for. Asks the loop's `getaddrinfo` for names."""
    host, port = address[:2]
    literal = parse_literal(host, port, family, kind, proto, *address[2:])
    if literal is not None:
        return [literal]
    found: list[AddressInfo] = await loop.getaddrinfo(
        host, port, family=family, type=kind, proto=proto, flags=flags
    )
    return found
