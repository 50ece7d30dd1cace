"""What can go wrong with one URL, as one tree of exceptions.

Every failure of the client is an :class:`HTTPError`, so a caller that wants to go on with the next
URL catches one class. Each subclass has a ``reason``: the few words under which failures of its
kind are counted. The ``detail`` says what happened this time, and the exception that set it off,
when there was one, is the ``__cause__``.

    HTTPError
    ├── InvalidURL               the text is not an http or https URL
    ├── ResolveError             no address for the host name
    ├── ConnectError             no TCP connection to any address
    │   ├── ConnectionRefused
    │   └── ProxyError           the proxy did not open the way to the host
    ├── TLSError                 the handshake or the certificate check failed
    ├── FetchTimeout
    │   ├── PoolTimeout          no connection was free for too long
    │   ├── ConnectTimeout       name, TCP, proxy and TLS together took too long
    │   ├── TLSTimeout           the TLS handshake took too long
    │   ├── WriteTimeout         the server took nothing of the request for too long
    │   ├── ReadTimeout          the server was silent for too long
    │   └── TotalTimeout         the page as a whole took too long
    ├── ConnectionLost           the server closed in the middle of an exchange
    ├── ProtocolError            the reply is not HTTP/1.1
    ├── RedirectError            too many, in a circle, or to a place that cannot be followed
    ├── DecodingError            the body is not what Content-Encoding says
    ├── TooLarge                 the body is over the limit, before or after decompression
    └── RefusedResponse          a reply that the caller's ``inspect`` did not want
        ├── BadStatus            a status other than 2xx
        └── NotHTML              a content type that holds no HTML
"""

import re
from collections.abc import Sequence
from typing import ClassVar

_PASSWORD = re.compile(r"(://[^\s/?#:@]*):[^\s/?#@]*@")


def without_password(text: str) -> str:
    """``text`` without the passwords in its URLs, so that it can go to a log."""
    return _PASSWORD.sub(r"\1:***@", text) if "@" in text else text


class HTTPError(Exception):
    """Fetching ``url`` failed; ``detail`` says how and ``__cause__`` holds the origin, if any."""

    reason: ClassVar[str] = "HTTP"
    # Where the request has been, if that is known: the URLs that redirected it, and the last one.
    urls: Sequence[str] = ()

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(url, detail)
        self.url = url
        self.detail = detail

    def __str__(self) -> str:
        return without_password(f"{self.url}: {self.reason}: {self.detail}")


class InvalidURL(HTTPError):
    """The text is not an absolute ``http:`` or ``https:`` URL."""

    reason = "invalid URL"


class ResolveError(HTTPError):
    """The resolver knows no address for the host."""

    reason = "DNS"


class ConnectError(HTTPError):
    """None of the host's addresses accepted a TCP connection."""

    reason = "connect"


class ConnectionRefused(ConnectError):
    """The host is there and nothing listens on the port."""

    reason = "refused"


class ProxyError(ConnectError):
    """The proxy could not be spoken to, refused, or could not reach the host."""

    reason = "proxy"


class TLSError(HTTPError):
    """The TLS handshake failed, which includes a certificate that cannot be verified."""

    reason = "TLS"


class FetchTimeout(HTTPError):
    """A time limit passed; the subclass says which."""

    reason = "timeout"


class ConnectTimeout(FetchTimeout):
    """Name resolution, TCP and TLS together took longer than the connect limit."""


class PoolTimeout(FetchTimeout):
    """All connections that the limits allow were in use for longer than the pool limit."""


class TLSTimeout(FetchTimeout):
    """The TLS handshake took longer than its limit."""


class WriteTimeout(FetchTimeout):
    """The server did not take a byte of the request for as long as the write limit."""


class ReadTimeout(FetchTimeout):
    """The server did not send a byte for as long as the read limit."""


class TotalTimeout(FetchTimeout):
    """The fetch, redirects included, took longer than the total limit."""


class ConnectionLost(HTTPError):
    """The server closed or reset the connection before the reply was complete."""

    reason = "connection lost"


class ProtocolError(HTTPError):
    """The server's reply breaks the rules of HTTP/1.1 (RFC 9112)."""

    reason = "protocol"


class RedirectError(HTTPError):
    """A redirect that cannot be followed: too many, a circle, or no usable ``Location``.

    ``status`` is that of the reply that redirects.
    """

    reason = "redirect"
    status: int | None = None


class DecodingError(HTTPError):
    """The body does not decode as its ``Content-Encoding`` claims."""

    reason = "content encoding"


class TooLarge(HTTPError):
    """The body exceeds the limit; counted on the wire and after decompression."""

    reason = "too large"


class RefusedResponse(HTTPError):
    """The head of the reply was enough to know that its body is not wanted."""

    reason = "refused response"


class BadStatus(RefusedResponse):
    """The server answered with a status other than 2xx; ``retry_after`` is its field's value."""

    reason = "status"

    def __init__(self, url: str, status: int, phrase: str, retry_after: str | None = None) -> None:
        super().__init__(url, f"{status} {phrase}".rstrip())
        self.status = status
        self.retry_after = retry_after
        self._made_of = url, status, phrase, retry_after

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is copied, and sent to other processes, by what it is made of: not the text.
        return type(self), self._made_of, self.__dict__


class NotHTML(RefusedResponse):
    """The content type says that the body holds no HTML."""

    reason = "not HTML"
