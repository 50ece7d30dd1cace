"""Where a redirect leads, what is asked for there, and when it leads nowhere.

301, 302, 303, 307 and 308 are followed (RFC 9110, section 15.4). After 303 the method is GET, or
HEAD; after 301 and 302 a POST becomes a GET, as it does in browsers; after 307 and 308 the same
request is sent again, body and all.

Relative references are resolved against the URL that redirected; a fragment is inherited unless
the ``Location`` has its own (section 10.2.2). What was meant for one origin, ``Authorization`` and
``Cookie``, is not carried to another.
"""

from .errors import InvalidURL, RedirectError
from .headers import Headers
from .reply import Reply
from .request import Request
from .url import URL, reference_in

STATUSES = frozenset({301, 302, 303, 307, 308})

# How many in a row are followed, unless somebody says otherwise.
MAX_REDIRECTS = 10
# What is not carried to another origin.
FOR_ONE_ORIGIN = frozenset({b"authorization", b"cookie", b"host", b"proxy-authorization"})

_Sent = tuple[str, bytes, str, str]


class Trail:
    """The way of one fetch; ``urls``, which grows, begins with the URL that was asked for."""

    __slots__ = ("_downgrade", "_limit", "_sent", "_urls")

    def __init__(self, urls: list[URL], limit: int, downgrade: bool) -> None:
        self._limit = limit
        self._downgrade = downgrade
        self._sent: list[_Sent] = []
        self._urls = urls

    def sent(self, request: Request, cookies: str) -> None:
        """Note a request that was redirected."""
        self._sent.append(_as_sent(request, cookies))

    def check(self, request: Request, cookies: str) -> None:
        """Raise RedirectError if this very request, cookies included, was redirected before.

        The cookies matter: some pages set one and redirect to themselves, to see whether it comes.
        """
        if _as_sent(request, cookies) in self._sent:
            text = f"redirected in a circle, back to {request.url}"
            raise RedirectError(self._urls[0].href, text)

    def follow(self, reply: Reply, request: Request) -> Request:
        """What to ask for next; raises RedirectError for what cannot or must not be followed."""
        here = self._urls[-1]
        start = self._urls[0].href
        location = _location(start, here, reply.status, reply.headers)
        if len(self._urls) > self._limit:
            text = f"more than {self._limit} redirects, the last to {location:.200}"
            raise RedirectError(start, text)
        try:
            there = URL(location, base=here)
        except InvalidURL as error:
            raise RedirectError(start, f"redirected to {location!r}: {error.detail}") from error
        if here.scheme == "https" and there.scheme == "http" and not self._downgrade:
            raise RedirectError(start, f"redirected from https to {there}, which is not allowed")
        following = _following(request, reply.status, there)
        if following.content is not None and not following.content.sendable:
            raise RedirectError(start, f"{there} wants the body again, which can be read once only")
        if "#" in here.href and "#" not in there.href:
            there.href += here.href[here.href.index("#") :]
        self._urls.append(there)
        return following


def destination(url: URL, reply: Reply) -> URL:
    """Where a redirect leads; raises RedirectError if that is nowhere."""
    location = _location(url.href, url, reply.status, reply.headers)
    try:
        return URL(location, base=url)
    except InvalidURL as error:
        raise RedirectError(url.href, f"redirected to {location!r}: {error.detail}") from error


def _as_sent(request: Request, cookies: str) -> _Sent:
    """What a server sees of a request: the fragment of its URL is not part of it."""
    return request.url.origin, request.url.target, request.method, cookies


def _location(start: str, here: URL, status: int, headers: Headers) -> str:
    locations = [location for location in headers.get_all("location") if location]
    if not locations:
        raise RedirectError(start, f"{here} answers {status} without a Location")
    if len(set(locations)) > 1:
        # Somebody may have smuggled one of them in: browsers follow neither.
        raise RedirectError(start, f"{here} answers {status} with Locations that differ")
    return reference_in(locations[0])


def _following(request: Request, status: int, there: URL) -> Request:
    method, content, headers = request.method, request.content, request.headers
    if headers is not None and there.origin != request.url.origin:
        headers = [field for field in headers if field[0].lower() not in FOR_ONE_ORIGIN]
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, content = "GET", None
        if headers is not None:
            headers = [field for field in headers if not _is_about_the_body(field[0].lower())]
    return Request(method, there, headers, content)


def _is_about_the_body(name: bytes) -> bool:
    return name.startswith(b"content-") or name in (b"transfer-encoding", b"expect")
