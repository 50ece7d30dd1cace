"""What a caller gets: a complete response, or one whose body is still to come."""

import codecs
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any, Self, TypeVar

from .body import decoded_pieces, finish, inflater
from .charset import decode, to_utf8
from .connection import Connection
from .errors import BadStatus, TooLarge, without_password
from .redirects import STATUSES
from .reply import Reply
from .url import URL

T = TypeVar("T")


class _Head:
    """What both kinds of response know: where it came from and what its head says."""

    __slots__ = ("flags", "headers", "history", "phrase", "status", "url", "version", "wire_bytes")

    def __init__(self, urls: list[URL], reply: Reply) -> None:
        self.url = urls[-1]
        self.history = urls[:-1]
        self.status = reply.status
        self.phrase = reply.phrase
        self.version = reply.version
        self.headers = reply.headers
        self.wire_bytes = reply.wire_bytes
        self.flags = reply.flags

    @property
    def ok(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """Whether the status asks to look elsewhere and the head says where."""
        return self.status in STATUSES and "location" in self.headers

    def raise_for_status(self) -> Self:
        """Raise BadStatus unless the status is one of success; gives the response itself."""
        if not self.ok:
            later = self.headers.get("retry-after")
            raise BadStatus(self.url.href, self.status, self.phrase, later)
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {without_password(self.url.href)}>"


class Response(_Head):
    """A complete response.

    ``url`` is where it came from in the end and ``history`` the URLs that redirected to it.
    ``headers`` has lower-case names. ``body`` is decompressed; ``wire_bytes`` is what it took to
    send it. ``flags`` name what was odd and did no harm.
    """

    __slots__ = ("body",)

    def __init__(self, urls: list[URL], reply: Reply) -> None:
        super().__init__(urls, reply)
        self.body = reply.body

    def text(self) -> str:
        """The body as text, in the encoding found as the HTML standard says."""
        return decode(self.body, self.headers.get("content-type", "")).text

    def utf8(self) -> tuple[bytes, str]:
        """The body in UTF-8, whatever it was sent in, and the Python codec for what it was."""
        return to_utf8(self.body, self.headers.get("content-type", ""))

    def json(self) -> Any:
        """The body as JSON (UTF-8, -16 or -32); raises ValueError if it is none."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError(f"the JSON of {self.url} is nested too deeply") from error


class StreamedResponse(_Head):
    """A response whose body comes piece by piece; see :meth:`crawler.http.client.Client.stream`.

    What :meth:`pieces` gives is as long as the server makes it, in constant memory, unless
    ``max_body`` was given. What is asked for in one piece, by :meth:`read` and :meth:`text`, or as
    one line, keeps to the client's limit.
    """

    __slots__ = (
        "_begun",
        "_connection",
        "_left",
        "_limit",
        "_max_body",
        "_opened",
        "_release",
        "_reply",
    )

    def __init__(
        self,
        urls: list[URL],
        reply: Reply,
        connection: Connection,
        release: Callable[[], None],
        *,
        limit: int,
        max_body: int | None,
    ) -> None:
        super().__init__(urls, reply)
        self._reply = reply
        self._connection = connection
        self._release = release
        self._limit = limit
        self._max_body = max_body
        self._begun = self._left = False
        self._opened: list[AsyncGenerator[object, None]] = []

    def raw_pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it was sent, compressed or not. It can be had once, in one of these ways."""
        return self._opening(self._raw(self._max_body))

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body, decompressed, in pieces of any size but none."""
        return self._opening(self._decoded(self._max_body))

    def lines(self, encoding: str = "utf-8") -> AsyncGenerator[str, None]:
        """The body's lines without their ends; bytes that are no text become U+FFFD."""
        return self._opening(self._lines(encoding))

    async def read(self) -> bytes:
        """The whole body, decompressed; raises TooLarge if it is over the limit."""
        limit = self._limit if self._max_body is None else self._max_body
        return b"".join([piece async for piece in self._opening(self._decoded(limit))])

    async def text(self) -> str:
        """The whole body as text, in the encoding found as the HTML standard says."""
        return decode(await self.read(), self.headers.get("content-type", "")).text

    async def aclose(self) -> None:
        """Read no more: ends the generators that were not read to their end."""
        self._left = True
        while self._opened:
            await self._opened.pop().aclose()

    def _opening(self, generator: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        self._opened.append(generator)
        return generator

    async def _raw(self, limit: int | None) -> AsyncGenerator[bytes, None]:
        if self._begun:
            raise RuntimeError(f"the body of {self.url} has been read, and comes only once")
        if self._left:
            raise RuntimeError(f"the body of {self.url} is read within its `async with`, or never")
        self._begun = True
        reply = self._reply
        while (piece := await self._connection.next_piece(reply)) is not None:
            self.wire_bytes = reply.wire_bytes
            if limit is not None and self.wire_bytes > limit:
                raise TooLarge(self.url.href, f"the body is larger than {limit:,} bytes")
            yield bytes(piece)
        self.flags = reply.flags
        self._release()

    async def _decoded(self, limit: int | None) -> AsyncGenerator[bytes, None]:
        inflate = inflater(self.url, self.headers, _UNLIMITED if limit is None else limit)
        raw = self._opening(self._raw(limit))
        if inflate is None:
            async for piece in raw:
                yield piece
            return
        async for piece in raw:
            for out in decoded_pieces(self.url, inflate, piece):
                yield out
                await self._connection.give_way()  # a few bytes may hold gigabytes
        finish(self.url, inflate, self._reply)
        self.flags = self._reply.flags

    async def _lines(self, encoding: str) -> AsyncGenerator[str, None]:
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        rest: list[str] = []
        size = 0
        async for piece in self._opening(self._decoded(self._max_body)):
            first, *more = decoder.decode(piece).split("\n")
            rest.append(first)
            size += len(first)
            for text in more:
                yield "".join(rest).removesuffix("\r")
                rest, size = [text], len(text)
            if size > self._limit:
                raise TooLarge(self.url.href, f"a line is longer than {self._limit:,} characters")
        if last := "".join(rest) + decoder.decode(b"", final=True):
            yield last


_UNLIMITED = 1 << 62
