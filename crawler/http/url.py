"""An absolute http or https URL, taken apart once.

Parsing follows the WHATWG URL standard, which is what browsers do with a URL in the wild; the
reasons for the library are in docs/decisions/url-library.md.
"""

import base64
import re
from urllib.parse import unquote_to_bytes

import can_ada

from .errors import InvalidURL
from .hosts import MAX_HOST, host_is_too_long, why_invalid

DEFAULT_PORTS = {"http": 80, "https": 443}


class URL:
    """The parts of a URL that a request needs.

    ``origin`` (scheme, host and port) names the servers that may share connections; ``target`` is
    the request target in origin form (RFC 9112, section 3.2.1): ASCII with no space or control
    character in it, which the serialisation of the URL standard guarantees.

    ``authorization`` is the value of a Basic ``Authorization`` header if the URL holds credentials.
    """

    __slots__ = ("authorization", "host", "href", "origin", "port", "scheme", "target")

    def __init__(self, text: str, *, base: "URL | None" = None) -> None:
        try:
            if len(text) > MAX_HOST and host_is_too_long(text):
                raise InvalidURL(text[:200], f"a host name of more than {MAX_HOST} characters")
            parsed = can_ada.parse(text) if base is None else can_ada.parse(base.href) + text
        except ValueError as error:
            raise InvalidURL(text, why_invalid(text)) from error
        except TypeError as error:
            raise TypeError(f"a URL must be text, got {text!r}") from error
        scheme = parsed.protocol[:-1]
        if scheme not in DEFAULT_PORTS:
            raise InvalidURL(text, f"the scheme must be http or https, got {scheme!r}")
        self.href: str = parsed.href
        self.scheme: str = scheme
        self.host: str = parsed.hostname
        self.port: int = int(parsed.port or DEFAULT_PORTS[scheme])
        self.origin: str = parsed.origin
        self.target: bytes = (parsed.pathname + parsed.search).encode("ascii")
        self.authorization: bytes | None = None
        if parsed.username or parsed.password:
            credentials = (
                unquote_to_bytes(parsed.username) + b":" + unquote_to_bytes(parsed.password)
            )
            self.authorization = b"Basic " + base64.b64encode(credentials)

    @property
    def host_header(self) -> str:
        """The value of the ``Host`` header: the port is left out where it is the scheme's own."""
        return self.origin.partition("://")[2]

    @property
    def server_name(self) -> str:
        """The host as the resolver wants it: an IPv6 address without its brackets."""
        return self.host[1:-1] if self.host.startswith("[") else self.host

    @property
    def tls_name(self) -> str:
        """The host as TLS wants it: without the dot that ends a complete name (RFC 6066, 3)."""
        return self.server_name.removesuffix(".")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, URL):
            return self.href == other.href
        return self.href == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.href)

    def __str__(self) -> str:
        return self.href

    def __repr__(self) -> str:
        return f"URL({self.href!r})"


def reference_in(field: str) -> str:
    """The text of a reference, or of several, in a header field, which is latin-1 as it is read.

    It is UTF-8 if it can be. Otherwise it is no text that we know the encoding of, and the server
    gets its own bytes back, percent-encoded.
    """
    if field.isascii():
        return field
    raw = field.encode("latin-1")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], raw).decode("ascii")


_NOT_ASCII = re.compile(rb"[\x80-\xff]")
