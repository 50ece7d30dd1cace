"""From a host name to a connected socket.

Where a name has several addresses they are tried as RFC 8305 ("Happy Eyeballs") has it: the two
families take turns, and an attempt that has not succeeded after a quarter of a second is not
waited for but joined by the next one. The first to connect wins.

A *permit* is asked about each address, after the name was resolved and right before the connection:
what a name stood for when somebody else looked it up does not matter.
"""

import asyncio
import os
import socket
from collections.abc import Callable

from .errors import ConnectError, ConnectionRefused, ResolveError
from .resolver import Address, Resolver
from .trace import Trace, span

# RFC 8305, section 5, recommends 250 ms between attempts.
ATTEMPT_DELAY = 0.25


# Asked with a host and one of its addresses; false if it must not be connected to.
Permit = Callable[[str, str], bool]


async def dial(
    url: str,
    host: str,
    port: int,
    resolver: Resolver,
    trace: Trace | None = None,
    permit: Permit | None = None,
    waits: Callable[[str], object] = lambda what: None,
) -> socket.socket:
    """A non-blocking socket connected to ``host``; raises ResolveError or ConnectError.

    ``waits`` is told what it waits for. The socket is the caller's to close. If the call is
    cancelled there is none left open.
    """
    waits(f"nobody said what the address of {host} is")
    with span(trace, "resolve", host=host, port=port):
        try:
            addresses = await resolver.resolve(host, port)
        except (OSError, UnicodeError) as error:  # UnicodeError: an empty or overlong label
            text = error.strerror if isinstance(error, OSError) else str(error)
            raise ResolveError(url, f"cannot resolve {host!r}: {text}") from error
    if permit is not None:
        allowed = [address for address in addresses if permit(host, address[1][0])]
        if not allowed:
            text = f"{host} is {addresses[0][1][0]}, which must not be connected to"
            raise ConnectError(url, text)
        addresses = allowed
    waits(f"{host} port {port} did not answer")
    sock: socket.socket | None = None
    try:
        with span(trace, "connect_tcp", host=host, port=port, addresses=addresses):
            try:
                sock = await (_connect(addresses[0]) if len(addresses) == 1 else _race(addresses))
            except (OSError, NoneConnected) as error:
                resolver.forget(host, port)
                raise _connect_error(url, host, port, error) from error
    except BaseException:
        if sock is not None:  # the trace failed
            sock.close()
        raise
    return sock


class NoneConnected(Exception):
    """None of several addresses accepted a connection; the arguments say why, one for each."""

    args: tuple[BaseException, ...]


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


async def _race(addresses: list[Address]) -> socket.socket:
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
    raise NoneConnected(*failures) from failures[-1]


def _close_late_winner(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _connect_error(url: str, host: str, port: int, error: OSError | NoneConnected) -> ConnectError:
    failures = error.args if isinstance(error, NoneConnected) else (error,)
    texts = dict.fromkeys(_cause(failure) for failure in failures)
    refused = all(isinstance(failure, ConnectionRefusedError) for failure in failures)
    kind = ConnectionRefused if refused else ConnectError
    return kind(url, f"cannot connect to {host} port {port}: {', '.join(texts)}")


def _cause(error: BaseException) -> str:
    # The loop's own text names the address, which the caller has named already.
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
