"""An absolute http or https URL, taken apart once.

Parsing follows the WHATWG URL standard, which is what browsers do with a URL in the wild; the
reasons for the library are in docs/decisions/url-library.md.
"""

import base64
from urllib.parse import unquote_to_bytes

import can_ada

from .errors import InvalidURL

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
            parsed = can_ada.parse(text) if base is None else can_ada.parse(base.href) + text
        except ValueError as error:
            raise InvalidURL(text, "not an absolute URL") from error
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

    def __str__(self) -> str:
        return self.href

    def __repr__(self) -> str:
        return f"URL({self.href!r})"
