"""Exercise 8: a protocol that listens to the water marks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

from miniloop.loop import EventLoop
from miniloop.study.check.exercise import Exercise, Wrong, equal, function

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 8: a protocol that listens to the water marks.

Write `Sender`. `Sender(chunks)` is a protocol that sends all the chunks over its transport, in
their order, and closes it when there are no more. `chunks` may be long, and may be made as it is
asked for: take the next chunk only when it may be written. So between `pause_writing` and
`resume_writing` nothing is written, and after `connection_lost` nothing at all.

    python3 -m miniloop.study check 8
"""

import asyncio


class Sender(asyncio.Protocol):
    def __init__(self, chunks):
        ...
'''

PATIENCE = 5.0  # seconds
HIGH = 32 * 1024
CHUNK = 8 * 1024


def _run(main: Callable[[ExitStack], Any]) -> Any:
    """Run it on a loop, and raise Wrong if a callback fails."""
    reported: list[str] = []
    loop = EventLoop()

    def note(_: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        reported.append(str(error) if isinstance(error, Wrong) else f"it raised {error!r}")

    loop.set_exception_handler(note)
    opened = ExitStack()
    try:
        result = loop.run_until_complete(asyncio.wait_for(main(opened), PATIENCE))
    except TimeoutError:
        if reported:
            raise Wrong(reported[0]) from None
        raise Wrong(
            f"the connection was not closed within {PATIENCE:.0f} s: does it go on after "
            "`resume_writing`, and close at the end?"
        ) from None
    finally:
        opened.close()
        loop.run_until_complete(asyncio.sleep(0))  # in which transports let go of their sockets
        loop.close()
    if reported:
        raise Wrong(reported[0])
    return result


async def _begin(
    solution: ModuleType,
    opened: ExitStack,
    chunks: Iterable[bytes],
    lost: asyncio.Event | None = None,
) -> tuple[Any, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    class Limited(function(solution, "Sender")):  # type: ignore[misc]  # what the file calls so
        def connection_made(self, transport: Any) -> None:
            transport.set_write_buffer_limits(high=HIGH)
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            if lost is not None:
                lost.set()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: Limited(chunks), sock=ours)
    opened.callback(transport.abort)
    opened.callback(theirs.close)
    return transport, theirs


async def _read_to_end(sock: socket.socket) -> bytes:
    loop, data = asyncio.get_running_loop(), bytearray()
    while part := await loop.sock_recv(sock, 64 * 1024):
        data += part
        await asyncio.sleep(0)
    sock.close()
    return bytes(data)


def _numbered(count: int) -> list[bytes]:
    return [bytes([number % 256]) * CHUNK for number in range(count)]


def _few(solution: ModuleType) -> None:
    """A few chunks arrive in their order, and the connection is closed behind them."""

    async def main(opened: ExitStack) -> bytes:
        _, theirs = await _begin(solution, opened, [b"one ", b"two ", b"three"])
        return await _read_to_end(theirs)

    equal("what arrived", _run(main), b"one two three")


def _none(solution: ModuleType) -> None:
    """Without a chunk the connection is closed all the same."""

    async def main(opened: ExitStack) -> bytes:
        _, theirs = await _begin(solution, opened, [])
        return await _read_to_end(theirs)

    equal("what arrived", _run(main), b"")


def _bounded(solution: ModuleType) -> None:
    """No chunk is taken while the transport has more than it wants."""

    async def main(opened: ExitStack) -> tuple[int, int]:
        taken = 0

        def chunks() -> Iterator[bytes]:
            nonlocal taken
            for chunk in _numbered(200):
                taken += 1
                yield chunk

        transport, theirs = await _begin(solution, opened, chunks())
        for _ in range(20):
            await asyncio.sleep(0)  # nobody reads
        size, before = transport.get_write_buffer_size(), taken
        await _read_to_end(theirs)
        return size, before

    size, taken = _run(main)
    if size > HIGH + CHUNK:
        raise Wrong(
            f"nobody reads, and {size // 1024} KiB wait in memory, with a mark at {HIGH // 1024}: "
            "pause_writing is to stop it at once, also in the middle of a loop that writes"
        )
    if taken == 200:
        raise Wrong("all 200 chunks were taken at once, before there was room for them")


def _all(solution: ModuleType) -> None:
    """Many chunks arrive, all of them, once, in order."""

    async def main(opened: ExitStack) -> bytes:
        _, theirs = await _begin(solution, opened, _numbered(200))
        return await _read_to_end(theirs)

    got = _run(main)
    equal("how many bytes arrived", len(got), 200 * CHUNK)
    equal("they are as they were sent", got == b"".join(_numbered(200)), True)


def _lost(solution: ModuleType) -> None:
    """After the connection is lost no chunk is taken any more."""

    async def main(opened: ExitStack) -> int:
        taken = 0

        def chunks() -> Iterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                if taken > 10_000:
                    raise Wrong("it goes on taking chunks for a connection that is lost")
                yield bytes(CHUNK)

        lost = asyncio.Event()
        _, theirs = await _begin(solution, opened, chunks(), lost)
        await asyncio.sleep(0)
        theirs.close()  # the other side hangs up
        await lost.wait()
        before = taken
        await asyncio.sleep(0.01)
        return taken - before

    equal("chunks taken after the end", _run(main), 0)


EXERCISE = Exercise(BEGIN, (_few, _none, _bounded, _all, _lost))
