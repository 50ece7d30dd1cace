"""One HTTP/1.1 connection: a request goes out, a reply comes in, and again.

h11 keeps the protocol; a stream carries the bytes; this file moves them from one to the other. The
clock is in :mod:`.deadline`.

h11 and its price. It is a careful state machine in Python, and careful costs time: some 300,000
machine instructions for a request and its reply, which was two thirds of the whole client. So most
exchanges do without it. The request of an origin is validated once and its target exchanged
(RequestTemplate); a reply as plain as most are is read at one look (:mod:`.plain_head`); and chunks
are undone in :mod:`.chunks`. All other heads (:mod:`.odd_head`), and all bodies that do not come as
a whole with their head (:mod:`.framing`), are h11's: each exchange then has a state machine of its
own, which need not be led through the end of a request and round to the next cycle, and which is
told what has come so far.

Stale connections. A server may close a connection that it kept open, or say on it what nobody asked
for, at any moment. So a kept connection is looked at right before it is used: one that has become
readable is not used, for what is there is no reply to what was not yet asked. And if it ends
before the head of a reply is complete, or the reply is 408 (the server gave up waiting for a
request), nothing was wrong with the request: see :class:`Stale`.
"""

import asyncio
from collections.abc import Callable

import h11

from .body import decoded, decoded_whole, finish, inflater
from .chunks import Chunks
from .deadline import Deadline
from .endings import broken, cut_short, too_large
from .errors import ConnectionLost, HTTPError, TooLarge
from .framing import next_by_h11, next_in_chunks
from .headers import Headers
from .limits import Limits
from .odd_head import read_odd_head
from .plain_head import read_plain
from .reply import MENDED_HEAD, NO_FAREWELL, Reply, seconds_kept
from .request import Request, RequestTemplate
from .stream import Stream
from .trace import Trace, span
from .upload import Upload
from .url import URL

# A body that nobody wants is read to its end, to keep the connection, if it is no longer than this
# in bytes and in seconds.
MAX_DRAIN = 64 * 1024
DRAIN_SECONDS = 1.0
# A request's body up to this size travels with its head.
SENT_AT_ONCE = 64 * 1024
# Who takes no more of a request has mostly said why, and that is here. And nobody answers a request
# that we cannot send all of. In seconds.
LAST_WORDS = 0.1


Inspect = Callable[[Reply], None]


class Stale(Exception):
    """A kept connection could not be used, and the request was not the reason.

    ``sent`` tells whether the server may have seen the request. ``error`` is what happened, for a
    request that must not be repeated.
    """

    def __init__(self, error: HTTPError, *, sent: bool) -> None:
        super().__init__(error)
        self.error = error
        self.sent = sent


class Connection:
    """A stream that speaks HTTP. Use it for one exchange at a time, and close it after an error.

    An exchange is :meth:`start`, and then either :meth:`finish` or :meth:`next_piece` until there
    is none. Afterwards ``reusable`` says whether another exchange can follow.
    """

    __slots__ = (
        "_begun",
        "_chunks",
        "_clock",
        "_http",
        "_kept_for",
        "_last",
        "_refused",
        "_stream",
        "_template",
        "_trace",
        "_unread",
        "_upload",
        "_url",
        "_writing",
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
        write_limit: float | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._stream = stream
        self._template = template
        # The state machine of this exchange, if there is need of one.
        self._http: h11.Connection | None = None
        self._url: URL  # of the exchange that is going on, or was the last: errors name it
        self._clock = Deadline(
            stream.abort, read_limit, read_limit if write_limit is None else write_limit
        )
        self._trace = trace
        self._upload: Upload | None = None
        self._writing = False
        # Why the server cannot have all of this request; whether something of the reply has come.
        self._refused: OSError | None = None
        self._begun = False
        # The chunks of a reply that has some; what came with its head, of which nobody has had any.
        self._chunks: Chunks | None = None
        self._unread = b""
        # Whether nothing can follow the exchange that is going on, because of what we have said.
        self._last = template.closes
        # The seconds for which the server says that it keeps a connection that is idle.
        self._kept_for: float | None = None
        self.exchanges = 0
        self.idle_since = 0.0
        self.reusable = False

    @property
    def upload(self) -> Upload | None:
        """The body that is being sent, if there is one that did not go with its head."""
        return self._upload

    @property
    def stream(self) -> Stream:
        """What it speaks over."""
        return self._stream

    def limit(self, limits: Limits) -> None:
        """Have the exchanges from now on keep to these limits for a write and for a read."""
        self._clock.read_limit = limits.read
        self._clock.write_limit = limits.write

    async def start(self, request: Request, total_deadline: float) -> Reply:
        """Send ``request`` and read the head of the reply.

        ``total_deadline`` is on the loop's clock and holds for the body too. Raises an HTTPError,
        or :class:`Stale` if this was not the first exchange.
        """
        self.reusable = False
        self._url = request.url
        if self.exchanges and (self._stream.readable() or self._may_end(request)):
            text = "closed by the server, or spoken to unasked, while it was idle"
            raise Stale(ConnectionLost(self._url.href, text), sent=False)
        self._clock.busy = True
        self._clock.total = total_deadline
        try:
            if self._trace is None:
                await self._send(request)
                reply = await self._receive_head(request)
            else:
                with span(self._trace, "send_request", url=self._url.href):
                    await self._send(request)
                with span(self._trace, "receive_head", url=self._url.href):
                    reply = await self._receive_head(request)
        finally:
            self._clock.busy = False
        self.exchanges += 1
        return reply

    def finish_at_once(self, reply: Reply, max_body: int) -> bool:
        """What :meth:`finish` does, if nothing is to be waited for; else false.

        Most bodies come with their head: for those there is no coroutine and no clock.
        """
        if not reply.simple or self._upload is not None:
            return False
        body, self._unread = self._unread, b""
        if len(body) != reply.length:
            return False
        if self._trace is None:
            self._take(body, reply, max_body)
        else:
            with span(self._trace, "receive_body", url=self._url.href, reply=reply):
                self._take(body, reply, max_body)
        return True

    async def finish(self, reply: Reply, max_body: int) -> None:
        """Read the body into the reply, or, if the reply was turned down, read past it.

        ``max_body`` is in bytes. Raises an HTTPError, but none for a body that nobody wants.
        """
        if self.finish_at_once(reply, max_body):
            return
        self._clock.busy = True
        try:
            with span(self._trace, "receive_body", url=self._url.href, reply=reply):
                if reply.refusal is None:
                    await self._receive_body(reply, max_body)
                else:
                    await self._drain(reply)
        finally:
            self._clock.busy = False
        if self._upload is not None:
            await self._end_upload(self._upload)

    async def next_piece(self, reply: Reply) -> bytes | bytearray | None:
        """The next piece of the body as it was sent, or None at its end."""
        piece: bytes | bytearray | None
        self._clock.busy = True
        try:
            unread, self._unread = self._unread, b""
            more = self._more_of_the_body
            if self._chunks is not None:
                piece = await next_in_chunks(self._url, self._chunks, unread, more)
            elif self._http is not None:
                piece = await next_by_h11(self._url, self._http, more)
            else:  # the whole body came with its head
                piece = unread or None
        finally:
            self._clock.busy = False
        if piece is not None:
            reply.wire_bytes += len(piece)
            return piece
        reply.complete = True
        if reply.endless and self._stream.truncated:
            reply.flag(NO_FAREWELL)
        # Bytes after the end of the reply were not asked for: whatever they are, they must not be
        # taken for the reply to the next request. Nor is a connection trusted on which the two
        # ways to say where a body ends came together (RFC 9112, section 6.3), or whose head had to
        # be mended.
        chunks = self._chunks
        if chunks is not None:
            whole = chunks.ended and not chunks.odd and not chunks.rest and reply.keeps_alive
        elif self._http is not None:
            whole = (
                not reply.endless
                and self._http.their_state is h11.DONE
                and not self._http.trailing_data[0]
            )
        else:
            whole = True
        self.reusable = (
            whole
            and not self._last
            and MENDED_HEAD not in reply.flags
            and not ("transfer-encoding" in reply.headers and "content-length" in reply.headers)
        )
        if self._upload is not None:
            await self._end_upload(self._upload)
        return None

    async def exchange(
        self, url: URL, *, inspect: Inspect, max_body: int, total_deadline: float
    ) -> Reply:
        """GET ``url``: a whole exchange.

        ``inspect`` sees the reply when its head is complete; if it raises an HTTPError the body is
        not kept, and the error becomes the reply's ``refusal``.
        """
        reply = await self.start(Request("GET", url), total_deadline)
        try:
            inspect(reply)
        except HTTPError as refusal:
            reply.refusal = refusal
        await self.finish(reply, max_body)
        return reply

    async def give_way(self) -> None:
        """Let the loop have a turn, if what was read here has kept it from one."""
        await self._clock.give_way()

    def close(self) -> None:
        """Close the socket and drop the timer; harmless when repeated."""
        self.reusable = False
        self._clock.cancel()
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None
        self._stream.close()

    def discard(self) -> None:
        """Close, and have nothing reach the server any more that it has not got."""
        self._stream.discard()
        self.close()

    def _may_end(self, request: Request) -> bool:
        """Whether the server may be closing at this moment, and that would matter.

        A request that can be repeated is sent again then. For another it is not worth the risk in
        the last second of those that the server gave us, or in the second half of a single one.
        """
        if self._kept_for is None or request.repeatable:
            return False
        idle = asyncio.get_running_loop().time() - self.idle_since
        return idle > self._kept_for - min(1.0, self._kept_for / 2)

    # ---- out -----------------------------------------------------------------------------------

    async def _send(self, request: Request) -> None:
        """Send the request, or begin to.

        If no more of it can be sent the server may have said why, so that is not raised before
        there turns out to be no reply.
        """
        self._http = None
        self._refused = None
        self._begun = False
        data = self._template.plain(request)
        if data is None:
            self._http, data = self._template.machine(request)
        content = request.content
        waits = False
        if request.headers is not None:
            self._last = self._last or request.says(b"connection", b"close")
            waits = content is not None and request.says(b"expect", b"100-continue")
        if (
            content is not None
            and content.data is not None
            and content.length is not None
            and len(content.data) <= SENT_AT_ONCE
            and not waits
        ):
            data += content.data
            content = None
        self._writing = True
        self._clock.move(self._clock.write_limit)
        try:
            await self._stream.send_all(data)
        except OSError as error:
            if (interrupted := self._interrupted()) is not None:
                raise interrupted from error
            self._cannot_send(error)
            return
        finally:
            self._writing = False
        if content is None:
            return
        self._upload = Upload(content, self._stream, self._clock, self._cannot_send, waits=waits)

    def _cannot_send(self, error: OSError) -> None:
        """Note that the server cannot have all of the request."""
        self._last = True
        if not self._clock.expired:  # else it was we who ended the stream
            self._refused = error
            self._await_head()

    async def _end_upload(self, upload: Upload) -> None:
        self._upload = None
        if not await upload.end():
            self.reusable = False

    @property
    def _waits_for_writing(self) -> bool:
        return self._writing or (self._upload is not None and not self._upload.done)

    # ---- in ------------------------------------------------------------------------------------

    async def _receive_head(self, request: Request) -> Reply:
        self._await_head()
        try:
            data = await self._stream.recv()
        except OSError as error:
            raise self._no_reply(error) from error
        if not data or self._interrupted() is not None:
            raise self._no_reply(None)
        self._begun = True
        self._chunks = None
        reply: Reply
        if self._http is None and (plain := read_plain(data)) is not None:
            reply, self._unread = plain
        else:
            reply = await self._receive_odd_head(request, data)
        if reply.length is None and not reply.endless:
            self._chunks = Chunks()
            self._clock.turned()
        if "keep-alive" in reply.headers.index:
            self._kept_for = seconds_kept(reply.headers)
        if reply.status == 408 and self.exchanges:
            lost = ConnectionLost(self._url.href, "given up by the server while it was idle")
            raise Stale(lost, sent=True)
        return reply

    async def _receive_odd_head(self, request: Request, data: bytes) -> Reply:
        """What h11 makes of ``data`` and of what follows."""

        def machine() -> h11.Connection:
            return self._template.machine(request)[0]

        head, http, mended = await read_odd_head(
            self._url, data, self._http or machine(), machine, self._more_of_the_head, self._pass
        )
        self._http = http
        self._clock.turned()
        headers = Headers(head.headers.raw_items())
        reply = Reply(head.status_code, head.reason, head.http_version, headers, request.method)
        if mended:
            reply.flag(MENDED_HEAD)
            reply.simple = False
        if reply.simple or (reply.length is None and not reply.endless):
            self._unread, _ = http.trailing_data
        return reply

    def _pass(self, status: int, begun: bool) -> None:
        """Note an interim reply, and whether something of the next one has come."""
        self._begun = begun
        if status == 100 and self._upload is not None:
            self._upload.go_on()

    async def _more_of_the_head(self) -> bytes:
        self._await_head()
        await self._clock.give_way()
        try:
            data = await self._stream.recv()
        except OSError as error:
            raise self._interrupted() or self._cut_off(broken(self._url, error)) from error
        if (interrupted := self._interrupted()) is not None:
            raise interrupted
        if not data:
            raise self._cut_off(cut_short(self._url))
        self._begun = True
        return data

    def _await_head(self) -> None:
        """Give the server its time for the next bytes of a head."""
        limit = self._clock.read_limit
        if self._refused is not None:
            self._clock.move(limit if self._begun else min(LAST_WORDS, limit))
        elif self._upload is None or self._upload.done:
            self._clock.move(limit)

    def _no_reply(self, error: OSError | None) -> BaseException:
        """What it means that not a byte of the reply has come and none will."""
        if (interrupted := self._interrupted()) is not None:
            return interrupted
        if self._refused is not None:
            error = self._refused
        if error is None:
            lost = ConnectionLost(self._url.href, "closed by the server without a reply")
            return self._cut_off(lost)
        return self._cut_off(broken(self._url, error))

    def _interrupted(self) -> BaseException | None:
        """Why we ended the stream ourselves, if we did."""
        if self._upload is not None and self._upload.error is not None:
            return self._upload.error
        if not self._clock.expired:
            return None
        if self._refused is not None and not self._begun:
            return self._cut_off(broken(self._url, self._refused))
        return self._clock.error(self._url, writing=self._waits_for_writing)

    def _cut_off(self, error: HTTPError) -> HTTPError | Stale:
        """What the end of the connection before the end of a head means."""
        return Stale(error, sent=True) if self.exchanges else error

    def _take(self, body: bytes, reply: Reply, max_body: int) -> None:
        """Take a whole body."""
        if reply.refusal is None:
            if len(body) > max_body:
                raise too_large(self._url, len(body), max_body)
            inflate = inflater(self._url, reply.headers, max_body)
            reply.body = body if inflate is None else decoded_whole(self._url, inflate, body, reply)
        reply.wire_bytes = len(body)
        reply.complete = True
        self.reusable = not self._last

    async def _receive_body(self, reply: Reply, max_body: int) -> None:
        declared = reply.length
        if declared is not None and declared > max_body:
            raise too_large(self._url, declared, max_body)
        inflate = inflater(self._url, reply.headers, max_body)
        parts: list[bytes | bytearray] = []
        while (piece := await self.next_piece(reply)) is not None:
            if reply.wire_bytes > max_body:
                raise TooLarge(self._url.href, f"the body is larger than {max_body:,} bytes")
            parts.append(piece if inflate is None else decoded(self._url, inflate, piece))
        if inflate is not None:
            finish(self._url, inflate, reply)
        reply.body = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    async def _drain(self, reply: Reply) -> None:
        """Read past a body that nobody wants, if that is soon done; it cannot fail.

        Otherwise the connection is given up, which costs less than waiting.
        """
        if reply.endless or (reply.length or 0) > MAX_DRAIN:
            return
        self._clock.shorten(DRAIN_SECONDS)
        try:
            while await self.next_piece(reply) is not None:
                if reply.wire_bytes > MAX_DRAIN:
                    return
        except HTTPError:
            self.reusable = False

    async def _more_of_the_body(self) -> bytes:
        self._clock.move(self._clock.read_limit)
        await self._clock.give_way()
        try:
            data = await self._stream.recv()
        except OSError as error:
            raise self._interrupted() or broken(self._url, error) from error
        if (interrupted := self._interrupted()) is not None:
            raise interrupted
        return data
