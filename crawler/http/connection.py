"""One HTTP/1.1 connection: a request goes out, a reply comes in, and again.

h11 keeps the protocol; a stream carries the bytes; this file moves them from one to the other and
keeps the clock.

h11 and its price. It is a careful state machine in Python, and careful costs time: some 300,000
machine instructions for a request and its reply, which was two thirds of the whole client. Three
things keep it at two thirds of that. The request of an origin is validated once and its target
exchanged (RequestTemplate). Each exchange has a state machine of its own, which need not be led
through the end of a request that has no body and round to the next cycle. And a body that has a
length and is there in full when the head is, as most are, is taken as it is. All other bodies are
h11's.

Time limits. A timer per read would be made and cancelled several times a page. Instead there is a
deadline, a number that each step moves, and one timer that looks at it: if the deadline has moved
on, the timer is set again, which is once per read limit at most; if it has passed, the stream is
aborted, and the pending read or write then ends by itself.
"""

import asyncio
import ssl
import zlib
from collections.abc import Callable

import h11

from .decoding import Inflater, Overflow, decoder
from .errors import (
    ConnectionLost,
    DecodingError,
    HTTPError,
    ProtocolError,
    ReadTimeout,
    TLSError,
    TooLarge,
    TotalTimeout,
)
from .stream import Stream
from .trace import Trace, span
from .url import URL

# The longest head of a reply; h11's own limit is 16 KiB, which real cookies exceed.
MAX_HEAD = 64 * 1024
# A body that nobody wants is read to its end, to keep the connection, if it is no longer than this.
MAX_DRAIN = 64 * 1024

# Statuses whose reply has no body, whatever its headers say (RFC 9112, section 6.3).
_BODILESS = (204, 304)


class Stale(Exception):
    """A connection from the pool turned out to be closed: nothing of a reply came back."""


class Reply:
    """A reply as it came: no redirect followed, the body decompressed but not decoded to text.

    ``headers`` has lower-case names; values of repeated fields are joined with commas (RFC 9110,
    section 5.3). ``refusal`` is the error with which the caller's ``inspect`` turned it down.
    """

    __slots__ = ("body", "headers", "phrase", "refusal", "simple", "status", "wire_bytes")

    def __init__(self, status: int, phrase: str, headers: dict[str, str], *, simple: bool) -> None:
        self.status = status
        self.phrase = phrase
        self.headers = headers
        self.body = b""
        self.wire_bytes = 0
        self.refusal: HTTPError | None = None
        # The body has a length, and the connection goes on after it, which is what a reply says
        # by saying nothing.
        self.simple = simple


Inspect = Callable[[Reply], None]


class RequestTemplate:
    """The part of a request that is the same for all URLs of one origin.

    h11 validates and serialises a request in about 20 µs, most of it for headers that never
    change. So one request for ``/`` is kept, and only its target is exchanged on the way out.
    """

    __slots__ = ("_event", "_headers")

    def __init__(self, url: URL, headers: list[tuple[bytes, bytes]]) -> None:
        self._headers = [(b"Host", url.host_header.encode("ascii")), *headers]
        self._event = h11.Request(method=b"GET", target=b"/", headers=self._headers)

    def send(self, http: h11.Connection, url: URL) -> bytes:
        """Tell ``http`` that a request for ``url`` goes out and return its bytes."""
        if url.authorization is None:
            head = http.send(self._event)
        else:
            headers = [*self._headers, (b"Authorization", url.authorization)]
            head = http.send(h11.Request(method=b"GET", target=b"/", headers=headers))
        assert head is not None
        return b"GET " + url.target + head[len(b"GET /") :]


class Connection:
    """A stream that speaks HTTP. Use it for one exchange at a time, and close it after an error."""

    __slots__ = (
        "_busy",
        "_deadline",
        "_expired",
        "_http",
        "_loop",
        "_read_limit",
        "_stream",
        "_template",
        "_timer",
        "_total_deadline",
        "_trace",
        "exchanges",
        "idle_since",
        "reusable",
    )

    def __init__(
        self,
        stream: Stream,
        template: RequestTemplate,
        *,
        read_limit: float,
        trace: Trace | None = None,
    ) -> None:
        self._stream = stream
        self._template = template
        self._http: h11.Connection
        self._loop = asyncio.get_running_loop()
        self._read_limit = read_limit
        self._trace = trace
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = self._total_deadline = 0.0
        self._busy = self._expired = False
        self.exchanges = 0
        self.idle_since = 0.0
        self.reusable = False

    async def exchange(
        self, url: URL, *, inspect: Inspect, max_body: int, total_deadline: float
    ) -> Reply:
        """Send a GET for ``url`` and read the reply.

        ``inspect`` sees the reply when its head is complete; if it raises an HTTPError the body is
        not kept, and the error becomes the reply's ``refusal``. ``max_body`` is in bytes,
        ``total_deadline`` on the loop's clock. Afterwards ``reusable`` says whether another
        exchange can follow.

        Raises an HTTPError, or :class:`Stale` if this was not the first exchange and the server
        had closed in the meantime.
        """
        self.reusable = False
        self._busy = True
        self._total_deadline = total_deadline
        try:
            with span(self._trace, "send_request", url=url.href):
                await self._send(url)
            with span(self._trace, "receive_head", url=url.href):
                reply = await self._receive_head(url)
            try:
                inspect(reply)
            except HTTPError as refusal:
                reply.refusal = refusal
            with span(self._trace, "receive_body", url=url.href):
                await self._receive_body(url, reply, max_body)
        finally:
            self._busy = False
        self.exchanges += 1
        return reply

    def close(self) -> None:
        """Close the socket and drop the timer; harmless when repeated."""
        self.reusable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stream.close()

    async def _send(self, url: URL) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        request = self._template.send(self._http, url)
        self._move_deadline()
        try:
            await self._stream.send_all(request)
        except OSError as error:
            raise self._no_reply(url, error) from error

    async def _receive_head(self, url: URL) -> Reply:
        self._move_deadline()
        try:
            first = await self._stream.recv()
        except OSError as error:
            raise self._no_reply(url, error) from error
        if not first or self._expired:
            raise self._no_reply(url, None)
        self._http.receive_data(first)
        while isinstance(event := await self._next_event(url), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise ProtocolError(url.href, f"expected a reply, got {event!r}")
        return _reply(event)

    def _no_reply(self, url: URL, error: OSError | None) -> Exception:
        """What it means that not a byte of the reply has come and none will."""
        if self._expired:
            return self._timeout(url)
        if self.exchanges:
            return Stale()
        if error is None:
            return ConnectionLost(url.href, "closed by the server without a reply")
        return _broken(url, error)

    async def _receive_body(self, url: URL, reply: Reply, max_body: int) -> None:
        keep = reply.refusal is None
        declared = int(reply.headers.get("content-length", 0))
        if not keep:
            if declared > MAX_DRAIN:
                return
            max_body = MAX_DRAIN
        elif declared > max_body:
            raise TooLarge(url.href, f"the body has {declared:,} bytes, the limit is {max_body:,}")
        inflate = self._inflater(url, reply, max_body) if keep else None
        if reply.simple:
            body, _ = self._http.trailing_data
            if len(body) == declared:
                reply.wire_bytes = declared
                if keep:
                    reply.body = body if inflate is None else _inflate_all(url, inflate, body)
                self.reusable = True
                return
        parts: list[bytes | bytearray] = []
        while type(event := await self._next_event(url)) is h11.Data:
            reply.wire_bytes += len(event.data)
            if reply.wire_bytes > max_body:
                if keep:
                    raise TooLarge(url.href, f"the body is larger than {max_body:,} bytes")
                return
            if keep:
                parts.append(event.data if inflate is None else _inflate(url, inflate, event.data))
        if not isinstance(event, h11.EndOfMessage):
            raise ProtocolError(url.href, f"expected the end of the body, got {event!r}")
        if self._stream.truncated and "content-length" not in reply.headers:
            raise _cut_short(url)
        if inflate is not None:
            _finish(url, inflate)
        reply.body = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
        # Bytes after the end of the reply were not asked for: whatever they are, they must not be
        # taken for the reply to the next request.
        self.reusable = self._http.their_state is h11.DONE and not self._http.trailing_data[0]

    def _inflater(self, url: URL, reply: Reply, max_body: int) -> Inflater | None:
        coding = reply.headers.get("content-encoding")
        if coding is None:
            return None
        try:
            return decoder(coding, max_body)
        except ValueError as error:
            raise DecodingError(url.href, str(error)) from error

    async def _next_event(self, url: URL) -> h11.Event | type[h11.PAUSED]:
        """The next event of the reply; reads from the stream when h11 has none."""
        http = self._http
        while True:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError as error:
                _, closed_by_server = http.trailing_data
                if closed_by_server:
                    raise _cut_short(url) from error
                raise ProtocolError(url.href, str(error)) from error
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            self._move_deadline()
            try:
                data = await self._stream.recv()
            except OSError as error:
                raise (self._timeout(url) if self._expired else _broken(url, error)) from error
            if self._expired:
                raise self._timeout(url)
            http.receive_data(data)

    def _move_deadline(self) -> None:
        deadline = self._loop.time() + self._read_limit
        if deadline > self._total_deadline:
            deadline = self._total_deadline
        self._deadline = deadline
        timer = self._timer
        if timer is None:
            self._timer = self._loop.call_at(deadline, self._check_deadline)
        elif deadline < timer.when():
            timer.cancel()
            self._timer = self._loop.call_at(deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        if not self._busy:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_deadline)
        else:
            self._expired = True
            self._stream.abort()

    def _timeout(self, url: URL) -> HTTPError:
        if self._deadline >= self._total_deadline:
            return TotalTimeout(url.href, "the page was not complete within the total time limit")
        return ReadTimeout(url.href, f"the server was silent for {self._read_limit:g} seconds")


def _reply(event: h11.Response) -> Reply:
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers.raw_items():
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    simple = (
        "content-length" in headers
        and "transfer-encoding" not in headers
        and "connection" not in headers
        and event.http_version == b"1.1"
        and event.status_code not in _BODILESS
    )
    return Reply(event.status_code, event.reason.decode("latin-1"), headers, simple=simple)


def _inflate(url: URL, inflate: Inflater, data: bytes | bytearray) -> bytes:
    try:
        return inflate.feed(data)
    except Overflow as error:
        raise TooLarge(url.href, "the body is too large when decompressed") from error
    except zlib.error as error:
        raise DecodingError(url.href, str(error)) from error


def _inflate_all(url: URL, inflate: Inflater, data: bytes) -> bytes:
    body = _inflate(url, inflate, data)
    _finish(url, inflate)
    return body


def _finish(url: URL, inflate: Inflater) -> None:
    try:
        inflate.finish()
    except zlib.error as error:
        raise DecodingError(url.href, str(error)) from error


def _cut_short(url: URL) -> ConnectionLost:
    return ConnectionLost(url.href, "closed by the server in the middle of the reply")


def _broken(url: URL, error: OSError) -> HTTPError:
    if isinstance(error, ssl.SSLError):
        return TLSError(url.href, error.reason or str(error))
    return ConnectionLost(url.href, error.strerror or str(error))
