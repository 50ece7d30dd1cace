"""A client's exchange over a stream that plays back what it was given."""

from __future__ import annotations

import asyncio

from crawler.http import URL, HTTPError, Reply
from crawler.http.connection import Connection, RequestTemplate


class Tape:
    """A stream that plays back what it was given, piece by piece, and then ends."""

    truncated = False

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self.closed = False

    async def recv(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def send_all(self, data: bytes) -> None:
        assert data.startswith(b"GET / HTTP/1.1\r\nHost: h\r\n")

    def abort(self) -> None:
        raise AssertionError("nothing here takes that long")

    def close(self) -> None:
        self.closed = True


def exchanged(pieces: list[bytes]) -> tuple[Reply | HTTPError, bool]:
    """What comes of a GET that is answered by ``pieces``, and if the connection can be kept."""

    async def main() -> tuple[Reply | HTTPError, bool]:
        url = URL("http://h/")
        connection = Connection(Tape(pieces), RequestTemplate(url, []), read_limit=10)
        try:
            deadline = asyncio.get_running_loop().time() + 10
            reply = await connection.exchange(
                url, inspect=lambda _: None, max_body=10_000, total_deadline=deadline
            )
        except HTTPError as error:
            return error, False
        else:
            return reply, connection.reusable
        finally:
            connection.close()

    return asyncio.run(main())
