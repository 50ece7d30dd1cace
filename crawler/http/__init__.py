"""An HTTP/1.1 client on raw non-blocking sockets and h11, for any asyncio loop."""

from .client import Client, Inspect, Limits, Response
from .connection import Reply
from .errors import (
    BadStatus,
    ConnectError,
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    DecodingError,
    FetchTimeout,
    HTTPError,
    InvalidURL,
    NotHTML,
    ProtocolError,
    ReadTimeout,
    RedirectError,
    RefusedResponse,
    ResolveError,
    TLSError,
    TooLarge,
    TotalTimeout,
)
from .trace import Trace
from .url import URL

__all__ = [
    "URL",
    "BadStatus",
    "Client",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "ConnectionRefused",
    "DecodingError",
    "FetchTimeout",
    "HTTPError",
    "Inspect",
    "InvalidURL",
    "Limits",
    "NotHTML",
    "ProtocolError",
    "ReadTimeout",
    "RedirectError",
    "RefusedResponse",
    "Reply",
    "ResolveError",
    "Response",
    "TLSError",
    "TooLarge",
    "TotalTimeout",
    "Trace",
]
