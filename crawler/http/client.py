"""The HTTP client.

    async with Client() as client:
        response = await client.get("https://example.org/")
        print(response.status, response.text())

        await client.post("https://example.org/things", json={"name": "thing"})

        async with client.stream("GET", "https://example.org/large") as response:
            async for piece in response.pieces():
                ...

It speaks HTTP/1.1 over sockets of its own, through ``sock_connect``, ``sock_recv``,
``sock_sendall`` and ``getaddrinfo`` of the running loop and nothing else, so it runs on every
asyncio loop.
"""

import contextlib
import ssl
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from .auth import Auth, as_auth
from .call import Call, HeaderFields, Options, call_of, fields_of
from .decoding import ACCEPTED
from .dial import Permit
from .limits import Limits
from .proxy import Proxies
from .request import Request
from .response import Response, StreamedResponse
from .retry import Retry
from .sending import Sender
from .stream import Stream
from .trace import Trace
from .url import URL

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from .cookies import Cookies


class Client:
    """Fetches URLs over kept-alive connections. Close it with ``async with`` or :meth:`close`.

    ``tls`` is the context for https, see :func:`crawler.http.tls.tls_context`; the default verifies
    against the system's certificates. ``headers`` are sent with each request, but ``Authorization``
    and ``Cookie`` not where a redirect leads to another origin. ``auth`` is a pair of name and
    password, or an :class:`crawler.http.auth.Auth`. ``cookies`` is True for a jar of its
    own, or a jar. ``proxy`` is the URL of one, see :mod:`crawler.http.proxy`;
    ``proxy_from_environment`` looks at ``HTTP_PROXY`` and the like instead. ``retry`` says what is
    repeated when it fails; by default nothing is, except on a kept connection that turns out to be
    dead. ``downgrade`` lets redirects lead from https to http. ``permit`` is asked about each
    address, see :mod:`crawler.http.dial`. ``trace`` is described in :mod:`crawler.http.trace`.
    ``around`` is called with each new stream, and whether it goes straight to the server; what it
    returns is used instead, to watch the bytes that go through.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        user_agent: str = "crawler",
        accept: str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
        headers: HeaderFields | None = None,
        auth: Auth | tuple[str, str] | None = None,
        cookies: "bool | CookieJar" = False,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        proxy_from_environment: bool = False,
        retry: Retry | None = None,
        downgrade: bool = False,
        permit: Permit | None = None,
        trace: Trace | None = None,
        around: Callable[[Stream, bool], Stream] | None = None,
    ) -> None:
        own = fields_of(headers or ())
        names = {name.lower() for name, _ in own}
        if names & {b"content-length", b"transfer-encoding"}:
            raise ValueError("how long a body is differs from request to request")
        usual = [
            *fields_of({"User-Agent": user_agent, "Accept": accept}),
            (b"Accept-Encoding", ACCEPTED),
        ]
        self.limits = limits or Limits()
        self._auth = as_auth(auth)
        self._downgrade = downgrade
        self._sender = Sender(
            self.limits,
            [*(field for field in usual if field[0].lower() not in names), *own],
            auth=self._auth,
            cookies=None if cookies is False else _kept(cookies),
            tls=tls,
            proxies=Proxies(proxy, environment=proxy_from_environment),
            retry=retry,
            permit=permit,
            trace=trace,
            around=around,
        )
        self.pool = self._sender.pool

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
        self._sender.close()

    # ---- what one asks for -----------------------------------------------------------------------

    async def get(self, url: str | URL, **options: Unpack[Options]) -> Response:
        """GET ``url``; see :meth:`request`."""
        if not options.keys() <= _USUAL:
            return await self.request("GET", url, **options)
        # Nothing special, which is all that a crawl asks for: straight on.
        request = Request("GET", url if isinstance(url, URL) else URL(url))
        call = Call(request, self.limits, self._auth, self._downgrade, options.get("inspect"))
        call.follow = options.get("follow_redirects", True)
        call.bare = self._sender.bare
        reply, _, _ = await self._sender.open(call, True)
        return Response(call.urls, reply)

    async def request(self, method: str, url: str | URL, **options: Unpack[Options]) -> Response:
        """Send a request, follow redirects, and return whatever status it ends with.

        :class:`crawler.http.call.Options` lists the keywords. Raises an HTTPError for everything
        that goes wrong between here and the server, ValueError for what cannot be sent.
        """
        call = call_of(method, url, options, self.limits, self._auth, self._downgrade)
        reply, _, _ = await self._sender.open(call, True)
        return Response(call.urls, reply)

    async def head(self, url: str | URL, **options: Unpack[Options]) -> Response:
        """HEAD; see :meth:`request`."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str | URL, **options: Unpack[Options]) -> Response:
        """OPTIONS; see :meth:`request`."""
        return await self.request("OPTIONS", url, **options)

    async def post(self, url: str | URL, **options: Unpack[Options]) -> Response:
        """POST; see :meth:`request`."""
        return await self.request("POST", url, **options)

    async def put(self, url: str | URL, **options: Unpack[Options]) -> Response:
        """PUT; see :meth:`request`."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str | URL, **options: Unpack[Options]) -> Response:
        """PATCH; see :meth:`request`."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str | URL, **options: Unpack[Options]) -> Response:
        """DELETE; see :meth:`request`."""
        return await self.request("DELETE", url, **options)

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str | URL,
        *,
        max_body: int | None = None,
        **options: Unpack[Options],
    ) -> AsyncGenerator[StreamedResponse, None]:
        """Like :meth:`request`, but as soon as the head is there; ``async with`` it.

        The connection is the response's until its body has been read; leaving the block before
        closes it. ``max_body`` limits the body's size, in bytes, on the wire and decompressed.
        """
        call = call_of(method, url, options, self.limits, self._auth, self._downgrade)
        reply, connection, origin = await self._sender.open(call, False)
        assert connection is not None
        held = True

        def release() -> None:
            nonlocal held
            held = False
            self._sender.release(origin, connection, response.url)

        response = StreamedResponse(
            call.urls, reply, connection, release, limit=call.limits.body, max_body=max_body
        )
        try:
            yield response
        finally:
            try:
                await response.aclose()
            finally:
                if held:
                    upload = connection.upload
                    connection.close()
                    self.pool.drop(origin)
                    if upload is not None:
                        await upload.ended()


# What `get` does without a look at all that could have been asked for.
_USUAL = frozenset({"inspect", "follow_redirects"})


def _kept(jar: "bool | CookieJar") -> "Cookies":
    if not isinstance(jar, bool) and not hasattr(jar, "extract_cookies"):
        kind = type(jar).__name__
        raise TypeError(f"cookies of a client must be True or a CookieJar, got a {kind}")
    from .cookies import Cookies  # what it needs takes longer to import than all the rest

    return Cookies(None if isinstance(jar, bool) else jar)
