"""Where a redirect leads, and when it leads nowhere.

Only GET is sent, so all of 301, 302, 303, 307 and 308 mean the same: GET the ``Location``
(RFC 9110, section 15.4). Relative references are resolved against the URL that redirected; the
scheme may change either way; a fragment is inherited unless the ``Location`` has its own
(section 10.2.2).
"""

from .connection import Reply
from .errors import InvalidURL, RedirectError
from .url import URL

STATUSES = frozenset({301, 302, 303, 307, 308})


class Trail:
    """The URLs that one fetch has been sent through, the first one included."""

    __slots__ = ("_limit", "urls")

    def __init__(self, start: URL, limit: int) -> None:
        self._limit = limit
        self.urls = [start]

    def follow(self, reply: Reply) -> URL:
        """The next URL; raises RedirectError for one that cannot or must not be followed."""
        here = self.urls[-1]
        start = self.urls[0].href
        location = reply.headers.get("location")
        if not location:
            raise RedirectError(start, f"{here} answers {reply.status} without a Location")
        if len(self.urls) > self._limit:
            raise RedirectError(start, f"more than {self._limit} redirects, the last to {location}")
        try:
            # Header bytes beyond ASCII are UTF-8 in practice; latin-1 was only their carrier.
            there = URL(location.encode("latin-1").decode("utf-8", "replace"), base=here)
        except InvalidURL as error:
            raise RedirectError(start, f"redirected to {location!r}: {error.detail}") from error
        if any(_request(there) == _request(url) for url in self.urls):
            raise RedirectError(start, f"redirected in a circle, back to {there}")
        if "#" in here.href and "#" not in there.href:
            there.href += here.href[here.href.index("#") :]
        self.urls.append(there)
        return there


def _request(url: URL) -> tuple[str, bytes]:
    """What a server sees of a URL: the fragment is not part of it."""
    return url.origin, url.target
