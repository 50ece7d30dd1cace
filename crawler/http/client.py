"""The HTTP client: one method, :meth:`Client.get`.

    async with Client() as client:
        response = await client.get("https://example.org/")
        print(response.status, response.text())

It speaks HTTP/1.1 over sockets of its own, through ``sock_connect``, ``sock_recv``,
``sock_sendall`` and ``getaddrinfo`` of the running loop and nothing else, so it runs on every
asyncio loop.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from .charset import decode, to_utf8
from .connection import Connection, Reply, RequestTemplate, Stale
from .decoding import ACCEPTED
from .dial import dial
from .errors import (
    ConnectionLost,
    ConnectTimeout,
    RefusedResponse,
    TLSError,
    TotalTimeout,
)
from .pool import Origin, Pool
from .redirects import STATUSES as REDIRECT_STATUSES
from .redirects import Trail
from .resolver import Resolver
from .stream import PlainStream, Stream, TLSStream
from .trace import Trace, span
from .url import URL

Inspect = Callable[[URL, Reply], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Times are in seconds, ``body`` in bytes.

    ``total`` covers one :meth:`Client.get` with its redirects, from the moment a connection is
    free for it; ``connect`` one connection with name resolution and TLS; ``read`` each time that
    the server lets us wait. ``body`` holds on the wire and after decompression.
    """

    connections: int = 100
    per_origin: int = 100
    connect: float = 10.0
    read: float = 20.0
    total: float = 60.0
    keep_alive: float = 15.0
    body: int = 10 * 1024 * 1024
    redirects: int = 10


class Response:
    """A complete response.

    ``url`` is where it came from in the end and ``history`` the URLs that redirected to it.
    ``headers`` has lower-case names. ``body`` is decompressed; ``wire_bytes`` is what it took to
    send it.
    """

    __slots__ = ("body", "headers", "history", "status", "url", "wire_bytes")

    def __init__(self, trail: Trail, reply: Reply) -> None:
        self.url = trail.urls[-1]
        self.history = trail.urls[:-1]
        self.status = reply.status
        self.headers = reply.headers
        self.body = reply.body
        self.wire_bytes = reply.wire_bytes

    def text(self) -> str:
        """The body as text, in the encoding found as the HTML standard says."""
        return decode(self.body, self.headers.get("content-type", "")).text

    def utf8(self) -> tuple[bytes, str]:
        """The body in UTF-8, whatever it was sent in, and the Python codec for what it was."""
        return to_utf8(self.body, self.headers.get("content-type", ""))


class Client:
    """Fetches URLs over kept-alive connections. Close it with ``async with`` or :meth:`close`.

    ``tls`` is the context for https; the default verifies against the system's certificates.
    ``trace`` is described in :mod:`crawler.http.trace`.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        user_agent: str = "crawler",
        accept: str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
        tls: ssl.SSLContext | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._headers = [
            (b"User-Agent", user_agent.encode("ascii")),
            (b"Accept", accept.encode("ascii")),
            (b"Accept-Encoding", ACCEPTED),
        ]
        self._tls = tls
        self._trace = trace
        self._resolver = Resolver()
        self.pool = Pool(
            lambda url: RequestTemplate(url, self._headers),
            total=self.limits.connections,
            per_origin=self.limits.per_origin,
            keep_alive=self.limits.keep_alive,
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections. A fetch that is under way closes its own when it ends."""
        self.pool.close()
        self._resolver.close()

    async def get(self, url: str | URL, *, inspect: Inspect | None = None) -> Response:
        """Fetch ``url``, following redirects, and return whatever status it ends with.

        ``inspect(url, reply)`` is called when the head of the last reply is there. If it raises an
        HTTPError the body is not downloaded and the error is raised here.

        Raises an HTTPError for everything that goes wrong between here and the server.
        """
        trail = Trail(url if isinstance(url, URL) else URL(url), self.limits.redirects)
        deadline: float | None = None
        while True:
            here = trail.urls[-1]
            origin = self.pool.origin(here)
            with span(self._trace, "acquire", origin=origin.key):
                connection = await self.pool.acquire(origin)
            if deadline is None:
                deadline = asyncio.get_running_loop().time() + self.limits.total
            reply = await self._exchange(here, origin, connection, inspect, deadline)
            if reply.status in REDIRECT_STATUSES:
                trail.follow(reply)
                continue
            if reply.refusal is not None:
                raise reply.refusal
            return Response(trail, reply)

    async def _exchange(
        self,
        url: URL,
        origin: Origin,
        connection: Connection | None,
        inspect: Inspect | None,
        deadline: float,
    ) -> Reply:
        """One request and its reply; gives the connection back to the pool, whatever happens."""

        def look(reply: Reply) -> None:
            if reply.status in REDIRECT_STATUSES:
                raise RefusedResponse(url.href, "a redirect's body is of no interest")
            if inspect is not None:
                inspect(url, reply)

        try:
            while True:
                if connection is None:
                    connection = await self._connect(url, origin, deadline)
                try:
                    reply = await connection.exchange(
                        url,
                        inspect=look,
                        max_body=self.limits.body,
                        total_deadline=deadline,
                    )
                    break
                except Stale:
                    # GET is idempotent (RFC 9110, section 9.2.2), so it may be sent again. On a
                    # connection of its own it cannot be stale: this happens once at most.
                    connection.close()
                    connection = None
        except BaseException:
            if connection is not None:
                connection.close()
            self.pool.drop(origin)
            raise
        if connection.reusable:
            self.pool.put(origin, connection)
        else:
            connection.close()
            self.pool.drop(origin)
        return reply

    async def _connect(self, url: URL, origin: Origin, deadline: float) -> Connection:
        connect_deadline = asyncio.get_running_loop().time() + self.limits.connect
        try:
            async with asyncio.timeout_at(min(connect_deadline, deadline)) as limit:
                stream = await self._open(url)
        except TimeoutError as error:
            if not limit.expired():
                raise
            if deadline < connect_deadline:
                raise TotalTimeout(url.href, "no connection within the total limit") from error
            text = f"no connection within {self.limits.connect:g} seconds"
            raise ConnectTimeout(url.href, text) from error
        return Connection(stream, origin.template, read_limit=self.limits.read, trace=self._trace)

    async def _open(self, url: URL) -> Stream:
        sock = await dial(url.href, url.server_name, url.port, self._resolver, self._trace)
        try:
            if url.scheme == "http":
                return PlainStream(sock)
            with span(self._trace, "start_tls", server_name=url.server_name):
                return await self._start_tls(url, TLSStream(sock, self._context(), url.server_name))
        except BaseException:
            sock.close()
            raise

    async def _start_tls(self, url: URL, stream: TLSStream) -> TLSStream:
        try:
            await stream.handshake()
        except ssl.SSLCertVerificationError as error:
            text = f"the certificate of {url.server_name} is not valid: {error.verify_message}"
            raise TLSError(url.href, text) from error
        except ssl.SSLError as error:
            raise TLSError(url.href, error.reason or str(error)) from error
        except OSError as error:
            raise ConnectionLost(url.href, f"in the TLS handshake: {error.strerror}") from error
        return stream

    def _context(self) -> ssl.SSLContext:
        # Made when first needed: loading the system's certificates takes tens of milliseconds.
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
