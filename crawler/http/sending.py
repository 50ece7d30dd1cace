"""From a call to the reply that counts: pool, redirects, retries, cookies and proxies.

:mod:`.client` is the face of this; here is how it is done.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from .auth import Auth
from .call import Call
from .connection import Connection, Stale
from .dial import Permit
from .errors import (
    BadStatus,
    ConnectError,
    ConnectTimeout,
    HTTPError,
    PoolTimeout,
    RedirectError,
    RefusedResponse,
    TLSTimeout,
)
from .limits import Limits
from .opening import Opener
from .pool import Origin, Pool
from .proxy import Proxies
from .redirects import FOR_ONE_ORIGIN, Trail
from .redirects import STATUSES as REDIRECT_STATUSES
from .reply import Reply
from .request import Fields, Request, RequestTemplate
from .retry import Budgets, Retry
from .stream import Stream
from .tls import tls_context
from .trace import Trace, span
from .url import URL

if TYPE_CHECKING:
    from .cookies import Cookies


class Sender:
    """What a client sends its requests with; the arguments are those of the client."""

    def __init__(
        self,
        limits: Limits,
        headers: Fields,
        *,
        auth: Auth | None,
        cookies: "Cookies | None",
        tls: ssl.SSLContext | None,
        proxies: Proxies,
        retry: Retry | None,
        permit: Permit | None,
        trace: Trace | None,
        around: Callable[[Stream, bool], Stream] | None,
    ) -> None:
        self.limits = limits
        self._cookies = cookies
        self._proxies = proxies
        self._retry = retry
        self._budgets = Budgets(0 if retry is None else retry.budget)
        # Whether there is nothing that depends on the URL to be added to a request.
        self._for_home = [field for field in headers if field[0].lower() in FOR_ONE_ORIGIN]
        self.bare = auth is None and cookies is None and not proxies and not self._for_home
        self._trace = trace
        self._around = around
        for_all = [field for field in headers if field not in self._for_home]
        self._opener = Opener(lambda: tls or tls_context(), trace, permit)
        self.pool = Pool(
            lambda url: RequestTemplate(url, for_all),
            total=limits.connections,
            per_origin=limits.per_origin,
            keep_alive=limits.keep_alive,
        )

    def close(self) -> None:
        """Close the idle connections."""
        self.pool.close()
        self._opener.close()

    async def open(self, call: Call, whole: bool) -> tuple[Reply, Connection | None, Origin]:
        """Through redirects and retries to the reply that counts.

        Its connection is the caller's, unless the reply is ``whole``.
        """
        if call.limits is not self.limits and call.limits.pool is not None:
            call.deadline = asyncio.get_running_loop().time() + call.limits.total
        if self._cookies is not None:
            await self._cookies.prepare()
        request, cookies = (call.request, "") if call.bare else self._dress(call)
        trail: Trail | None = None
        try:
            while True:
                wait: float | None
                try:
                    reply, connection, origin = await self._exchange(call, request, whole)
                except HTTPError as error:
                    wait = self._wait(call, request, error)
                    if wait is None:
                        raise
                    reason = str(error)
                else:
                    if self._cookies is not None:
                        self._cookies.take(request.url, reply.headers)
                    refusal = reply.refusal
                    if refusal is None:
                        if self._retry is not None:
                            self._budgets.earn(origin.key)
                        return reply, connection, origin
                    if isinstance(refusal, _Redirected):
                        with span(
                            self._trace, "redirect", url=request.url.href, status=reply.status
                        ):
                            if trail is None:
                                trail = Trail(call.urls, call.limits.redirects, call.downgrade)
                            trail.sent(request, cookies)
                            request, cookies = self._follow(trail, call, reply)
                        continue
                    if not isinstance(refusal, _ToRepeat):
                        raise refusal
                    wait, reason = refusal.wait, str(refusal)
                url = request.url.href
                with span(
                    self._trace, "retry", url=url, attempt=call.attempts, reason=reason, wait=wait
                ):
                    await asyncio.sleep(wait)
                request, _ = self._dress(call)
        except HTTPError as error:
            error.urls = [url.href for url in call.urls]
            raise

    def _follow(self, trail: Trail, call: Call, reply: Reply) -> tuple[Request, str]:
        """What to send where a redirect leads; raises RedirectError if that is nowhere."""
        try:
            call.request = trail.follow(reply, call.request)
            request, cookies = self._dress(call)
            trail.check(request, cookies)
        except RedirectError as error:
            error.status = reply.status
            raise
        return request, cookies

    def _dress(self, call: Call) -> tuple[Request, str]:
        """The request as it is sent this time: with cookies, credentials and the proxy's form."""
        request = call.request
        url = request.url
        at_home = url.origin == call.urls[0].origin
        extra = []
        cookies = self._cookies.header(url) if self._cookies is not None else ""
        if call.cookies and at_home:
            cookies = _joined(cookies, call.cookies)
        if cookies and not _has(request, b"cookie"):
            extra.append((b"Cookie", cookies.encode("latin-1")))
        auth = call.auth
        if (
            auth is not None
            and (at_home or auth.everywhere)
            and not _has(request, b"authorization")
        ):
            value = auth.header(url)
            if value is not None:
                extra.append((b"Authorization", value.encode("latin-1")))
        if at_home and self._for_home:
            taken = {name.lower() for name, _ in (*extra, *(request.headers or ()))}
            extra.extend(field for field in self._for_home if field[0].lower() not in taken)
        proxied = False
        if url.scheme == "http" and (proxy := self._proxies.of(url)) is not None and proxy.forwards:
            proxied = True
            if proxy.authorization is not None:
                extra.append((b"Proxy-Authorization", proxy.authorization))
        if extra or proxied:
            headers = [*(request.headers or ()), *extra]
            request = Request(request.method, url, headers, request.content, proxied=proxied)
        return request, cookies

    async def _exchange(
        self, call: Call, request: Request, whole: bool
    ) -> tuple[Reply, Connection | None, Origin]:
        """One request and its reply.

        The connection goes back to the pool, whatever happens, unless the reply's body is wanted
        and not to be read here.
        """
        limits, url = call.limits, request.url
        if limits.pool is None and self._trace is None:
            origin, connection = await self.pool.acquire(url)
        else:
            origin, connection = await self._acquire(url, limits.pool)
        deadline = call.deadline
        if deadline is None:
            deadline = call.deadline = asyncio.get_running_loop().time() + limits.total
        try:
            while True:
                if connection is None:
                    proxy = self._proxies.of(url)
                    stream = await self._opener.open(url, proxy, limits, deadline)
                    if self._around is not None:
                        stream = self._around(stream, proxy is None)
                    connection = Connection(
                        stream, origin.template, read_limit=limits.read, trace=self._trace
                    )
                connection.limit(limits)
                try:
                    reply = await connection.start(request, deadline)
                    break
                except Stale as stale:
                    # What the server has not seen, or what may be repeated, is sent again. On a
                    # connection of its own it cannot be stale: this happens once at most.
                    if stale.sent and not request.repeatable:
                        raise stale.error from stale
                    connection.close()
                    connection = None
            self._judge(call, request, reply)
            if not whole and reply.refusal is None:
                return reply, connection, origin
            if not connection.finish_at_once(reply, limits.body):
                await connection.finish(reply, limits.body)
        except BaseException as error:
            upload = None if connection is None else connection.upload
            if connection is not None and isinstance(error, asyncio.CancelledError):
                connection.discard()
            elif connection is not None:
                connection.close()
            self.pool.drop(origin)
            if upload is not None and not isinstance(error, GeneratorExit):
                await upload.ended()
            raise
        self.release(origin, connection, url)
        return reply, None, origin

    async def _acquire(self, url: URL, seconds: float | None) -> tuple[Origin, Connection | None]:
        got: tuple[Origin, Connection | None] | None = None
        try:
            with span(self._trace, "acquire", origin=url.origin):
                try:
                    async with asyncio.timeout(seconds) as limit:
                        got = await self.pool.acquire(url)
                        return got
                except TimeoutError as error:
                    if not limit.expired():
                        raise
                    text = f"no connection was free within {seconds:g} seconds"
                    raise PoolTimeout(url.href, text) from error
        except BaseException:
            if got is not None:  # the trace failed
                origin, connection = got
                if connection is not None:
                    connection.close()
                self.pool.drop(origin)
            raise

    def _judge(self, call: Call, request: Request, reply: Reply) -> None:
        """Decide by the head whether the body is wanted; if not, ``refusal`` says why."""
        url = request.url
        if reply.status in REDIRECT_STATUSES and call.follow:
            reply.refusal = _Redirected(url.href, "a redirect's body is of no interest")
            return
        if self._retry is not None:
            wait = self._wait(call, request, reply)
            if wait is not None:
                reply.refusal = _ToRepeat(url.href, reply, wait)
                return
        if call.inspect is not None:
            try:
                call.inspect(url, reply)
            except HTTPError as refusal:
                reply.refusal = refusal

    def _wait(self, call: Call, request: Request, failure: HTTPError | Reply) -> float | None:
        """Seconds until the request is sent once more; None if it is not."""
        retry = self._retry
        if retry is None or not retry.repeats(failure):
            return None
        if isinstance(failure, ConnectError | ConnectTimeout | TLSTimeout):
            safe = request.content is None or request.content.sendable  # it was never sent
        else:
            safe = request.repeatable
        asked = failure.headers.get("retry-after") if isinstance(failure, Reply) else None
        wait = retry.after(call.attempts + 1, asked)
        if not safe or wait is None:
            return None
        now = asyncio.get_running_loop().time()
        if call.deadline is not None and now + wait >= call.deadline:
            return None
        if not self._budgets.spend(request.url.origin):
            return None
        call.attempts += 1
        return wait

    def release(self, origin: Origin, connection: Connection, url: URL) -> None:
        """Give back a connection whose exchange is over."""
        if connection.exchanges == 1 and url.scheme == "https":
            self._opener.learn(url, connection.stream)
        if connection.reusable:
            self.pool.put(origin, connection)
        else:
            connection.close()
            self.pool.drop(origin)


class _Redirected(RefusedResponse):
    """A reply that leads elsewhere."""


class _ToRepeat(BadStatus):
    """A reply after which the request is sent once more, in ``wait`` seconds."""

    def __init__(self, url: str, reply: Reply, wait: float) -> None:
        super().__init__(url, reply.status, reply.phrase)
        self.wait = wait


def _joined(kept: str, given: str) -> str:
    """The cookies of the jar, but of a name that the caller gives the caller's."""
    names = {cookie.partition("=")[0] for cookie in given.split("; ")}
    rest = [
        cookie for cookie in kept.split("; ") if cookie and cookie.partition("=")[0] not in names
    ]
    return "; ".join([*rest, given])


def _has(request: Request, name: bytes) -> bool:
    return any(field[0].lower() == name for field in request.headers or ())
