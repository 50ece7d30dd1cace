"""From a host name to a connected socket.

Where a name has several addresses they are tried as RFC 8305 ("Happy Eyeballs") has it: the two
families take turns, and an attempt that has not succeeded after a quarter of a second is not
waited for but joined by the next one. The first to connect wins.
"""

import asyncio
import itertools
import os
import socket

from .errors import ConnectError, ConnectionRefused, ResolveError
from .trace import Trace, span

# RFC 8305, section 5, recommends 250 ms between attempts.
ATTEMPT_DELAY = 0.25

Address = tuple[socket.AddressFamily, tuple[str, int]]


async def dial(url: str, host: str, port: int, trace: Trace | None = None) -> socket.socket:
    """A non-blocking socket connected to ``host``; raises ResolveError or ConnectError.

    The socket is the caller's to close. If the call is cancelled there is none left open.
    """
    with span(trace, "resolve", host=host, port=port):
        addresses = await resolve(url, host, port)
    with span(trace, "connect_tcp", host=host, port=port, addresses=addresses):
        if len(addresses) == 1:
            try:
                return await _connect(addresses[0])
            except OSError as error:
                raise _connect_error(url, host, port, [error]) from error
        return await _race(url, host, port, addresses)


async def resolve(url: str, host: str, port: int) -> list[Address]:
    """The addresses of ``host``, families alternating; an address literal is its own address."""
    literal = _literal(host, port)
    if literal is not None:
        return [literal]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: an empty or overlong label
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise ResolveError(url, f"cannot resolve {host!r}: {text}") from error
    by_family: dict[socket.AddressFamily, list[Address]] = {}
    for family, _, _, _, address in found:
        by_family.setdefault(family, []).append((family, address))  # type: ignore[arg-type]
    turns = itertools.zip_longest(*by_family.values())
    return [address for turn in turns for address in turn if address is not None]


def _literal(host: str, port: int) -> Address | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return None
    return family, (host, port)


async def _connect(address: Address) -> socket.socket:
    family, name = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, name)
    except BaseException:
        sock.close()
        raise
    return sock


async def _race(url: str, host: str, port: int, addresses: list[Address]) -> socket.socket:
    running: set[asyncio.Task[socket.socket]] = set()
    failures: list[BaseException] = []
    waiting = iter(addresses)
    try:
        address = next(waiting, None)
        while address is not None or running:
            if address is not None:
                running.add(asyncio.create_task(_connect(address)))
                address = next(waiting, None)
            done, running = await asyncio.wait(
                running,
                timeout=ATTEMPT_DELAY if address is not None else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            winner = None
            for attempt in done:
                if (error := attempt.exception()) is not None:
                    failures.append(error)
                elif winner is None:
                    winner = attempt.result()
                else:
                    attempt.result().close()
            if winner is not None:
                return winner
    finally:
        for attempt in running:
            attempt.cancel()
            attempt.add_done_callback(_close_late_winner)
    raise _connect_error(url, host, port, failures) from failures[-1]


def _close_late_winner(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _connect_error(
    url: str, host: str, port: int, failures: list[BaseException] | list[OSError]
) -> ConnectError:
    texts = dict.fromkeys(_cause(error) for error in failures)
    refused = all(isinstance(error, ConnectionRefusedError) for error in failures)
    kind = ConnectionRefused if refused else ConnectError
    return kind(url, f"cannot connect to {host} port {port}: {', '.join(texts)}")


def _cause(error: BaseException) -> str:
    # The loop's own text names the address, which the caller has named already.
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
