"""From a URL to a stream that speaks to its server: name, TCP, proxy, TLS."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from .dial import Permit, dial
from .endings import refused_tls
from .errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    ProxyError,
    ResolveError,
    TLSTimeout,
    TotalTimeout,
)
from .limits import Limits
from .proxy import Proxy, open_tunnel, through_socks
from .resolver import Resolver
from .stream import PlainStream, Stream, TLSStream, TunnelledStream
from .tls import Sessions
from .trace import Trace, span
from .url import URL


class Opener:
    """Opens streams, with what they share: addresses, TLS context and sessions.

    ``context`` makes the TLS context, when the first https URL needs it. ``permit`` is asked about
    each address before anything is sent to it, see :mod:`crawler.http.dial`.
    """

    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        trace: Trace | None = None,
        permit: Permit | None = None,
    ) -> None:
        self._make_context = context
        self._context: ssl.SSLContext | None = None
        self._trace = trace
        self._permit = permit
        self._resolver = Resolver()
        self._sessions = Sessions()

    def close(self) -> None:
        """Give up what is still being asked for."""
        self._resolver.close()

    def learn(self, url: URL, stream: Stream) -> None:
        """Keep the session of a stream that has had a reply, so that the next may resume it."""
        session = getattr(stream, "session", None)  # of a TLSStream, or of what is around one
        if session is not None:
            self._sessions.keep(url.origin, session)

    async def open(self, url: URL, proxy: Proxy | None, limits: Limits, deadline: float) -> Stream:
        """A stream to the server of ``url``, or to the proxy that passes plain requests on."""
        connect_deadline = asyncio.get_running_loop().time() + limits.connect
        steps: list[str] = []
        try:
            async with asyncio.timeout_at(min(connect_deadline, deadline)) as limit:
                return await self._open(url, proxy, limits, steps)
        except TimeoutError as error:
            if not limit.expired():
                raise
            at = steps[-1]
            if deadline < connect_deadline:
                text = f"no connection within the total limit: {at}"
                raise TotalTimeout(url.href, text) from error
            text = f"no connection within {limits.connect:g} seconds: {at}"
            raise ConnectTimeout(url.href, text) from error

    async def _open(
        self, url: URL, proxy: Proxy | None, limits: Limits, steps: list[str]
    ) -> Stream:
        """Do it; ``steps`` gets what is waited for."""
        trace, resolver, waits = self._trace, self._resolver, steps.append
        if proxy is not None:
            self._check_literal(url)
        if proxy is None:
            sock = await dial(
                url.href, url.server_name, url.port, resolver, trace, self._permit, waits
            )
        elif proxy.forwards:
            try:
                sock = await dial(url.href, proxy.host, proxy.port, resolver, trace, waits=waits)
            except (ResolveError, ConnectError) as error:
                raise ProxyError(url.href, f"{proxy.key}: {error.detail}") from error
        else:
            waits(f"the proxy {proxy.host} did not open the way")
            with span(trace, "connect_proxy", proxy=proxy.key, url=url.href):
                sock = await through_socks(url, proxy)
        try:
            stream: Stream = PlainStream(sock)
            through_tls = proxy is not None and proxy.scheme == "https"
            if proxy is not None and through_tls:
                waits("the TLS handshake with the proxy did not end")
                stream = await self._start_tls(url, sock, proxy.host, limits.tls)
            if url.scheme == "http":
                return stream
            if proxy is not None and proxy.forwards:
                waits(f"the proxy {proxy.host} did not open the way")
                with span(trace, "connect_proxy", proxy=proxy.key, url=url.href):
                    await open_tunnel(url, proxy, stream)
            inner = stream if through_tls else None
            waits("the TLS handshake did not end")
            return await self._start_tls(url, sock, url.tls_name, limits.tls, inner, url.origin)
        except BaseException:
            sock.close()
            raise

    async def _start_tls(
        self,
        url: URL,
        sock: socket.socket,
        name: str,
        seconds: float,
        inner: Stream | None = None,
        origin: str | None = None,
    ) -> TLSStream:
        """TLS with the server of that name, within ``inner`` if there is one.

        A session of ``origin`` is resumed, if there is one.
        """
        session = None if origin is None else self._sessions.take(origin)
        context = self._tls_context()
        if inner is None:
            stream = TLSStream(sock, context, name, session)
        else:
            stream = TunnelledStream(inner, sock, context, name, session)
        with span(self._trace, "start_tls", server_name=name):
            await self._handshake(url, stream, name, seconds)
        return stream

    def _check_literal(self, url: URL) -> None:
        """Ask for leave to have a proxy connect to an address; names are the proxy's to resolve."""
        host = url.server_name
        if self._permit is None or not (":" in host or host.rpartition(".")[2].isdigit()):
            return
        if not self._permit(host, host):
            raise ConnectError(url.href, f"{host} must not be connected to")

    async def _handshake(self, url: URL, stream: TLSStream, name: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds) as limit:
                await stream.handshake()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TLSTimeout(url.href, f"no TLS handshake within {seconds:g} seconds") from error
        except ssl.SSLError as error:
            raise refused_tls(url, name, error) from error
        except OSError as error:
            raise ConnectionLost(url.href, f"in the TLS handshake: {error.strerror}") from error

    def _tls_context(self) -> ssl.SSLContext:
        # Made when first needed: loading the system's certificates takes tens of milliseconds.
        if self._context is None:
            self._context = self._make_context()
        return self._context
