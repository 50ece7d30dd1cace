"""Peers that are faster than we are: they hold neither the loop nor the limits.

Where every read has its bytes at once nothing waits, so that no timer and no other task would run.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from crawler.http import URL, Client, TotalTimeout
from crawler.http.connection import Connection
from crawler.http.request import Content, Request, RequestTemplate
from crawler.http.stream import FILLS, TLSStream
from tests.crawler.scripted import saying, serving

Run = Callable[..., Any]

# In seconds: what is allowed, and what ends a test in which it is not kept to.
TOTAL, PATIENCE = 0.1, 20.0


class Flood:
    """A stream whose reads and writes never wait; without ``head`` nothing is to be read.

    ``moves`` is how many there were.
    """

    truncated = False

    def __init__(self, head: bytes, data: bytes) -> None:
        self._next = head
        self._data = data
        self._aborted = asyncio.Event()
        self.moves = 0
        self._ends = time.monotonic() + PATIENCE

    async def recv(self) -> bytes:
        if not self._next:
            await self._aborted.wait()
        if time.monotonic() > self._ends:
            return b""
        self.moves += 1
        data, self._next = self._next, self._data
        return data

    async def send_all(self, data: bytes) -> None:
        if self._aborted.is_set() or time.monotonic() > self._ends:
            raise BrokenPipeError
        self.moves += 1

    def abort(self) -> None:
        self._aborted.set()

    def close(self) -> None:
        pass


@contextlib.contextmanager
def counting_turns() -> Iterator[list[None]]:
    """A list that grows with each turn of the loop."""
    turns: list[None] = []

    async def count() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    yield turns
    counting.cancel()


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1000


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n" * 1000),
    "extensions": (CHUNKED, b"1;" + b"x" * 4000 + b"\r\nx\r\n"),
    "a body to the end": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000),
    "the request": (b"", b""),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_neither_the_loop_nor_the_total_limit_is_held_by(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("crawler.http.deadline.HOLD", 0.0)

    async def main() -> None:
        url, flood = URL("http://h/"), Flood(*FLOODS[kind])
        connection = Connection(flood, RequestTemplate(url, []), read_limit=PATIENCE)
        request = Request("PUT", url, content=None if FLOODS[kind][0] else Content(pieces=endless))

        async def exchange() -> None:
            reply = await connection.start(request, asyncio.get_running_loop().time() + TOTAL)
            await connection.finish(reply, 1 << 60)

        with counting_turns() as turns, pytest.raises(TotalTimeout):
            await exchange()
        assert len(turns) > flood.moves - 5
        connection.close()

    run(main)


def test_much_that_is_in_little_is_not_unpacked_at_one_go(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.http.deadline.HOLD", 0.0)
    bomb = gzip.compress(bytes(4 << 20))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)

    async def main(url: str) -> None:
        async with Client() as client, client.stream("GET", url) as response:
            with counting_turns() as turns:
                sizes = [len(piece) async for piece in response.pieces()]
                assert sum(sizes) == 4 << 20
                assert len(turns) >= len(sizes) > 10

    with serving(saying(head + bomb)) as server:
        run(main, server.url)


class Tickets(TLSStream):
    """A stream whose records hold no data for us, but for the last; all of them have come."""

    async def _fill(self) -> None:
        pass

    async def _flush(self) -> None:
        pass


def test_tickets_without_an_end_leave_the_loop_its_turns(run: Run) -> None:
    class Machine:
        left = 10 * FILLS

        def read(self, size: int) -> bytes:
            self.left -= 1
            if self.left:
                raise ssl.SSLWantReadError
            return b"data"

    async def main() -> None:
        with socket.socket() as sock:
            stream = Tickets(sock, ssl.create_default_context(), "h")
            stream._tls = Machine()
            with counting_turns() as turns:
                assert await stream.recv() == b"data"
                assert len(turns) >= 8 * FILLS

    run(main)
