"""An HTTP/1.1 client on raw non-blocking sockets and h11, for any asyncio loop."""

from .auth import Auth, Basic, Bearer, Netrc
from .call import Inspect
from .client import Client
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
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    RedirectError,
    RefusedResponse,
    ResolveError,
    TLSError,
    TLSTimeout,
    TooLarge,
    TotalTimeout,
    WriteTimeout,
)
from .headers import Headers
from .limits import Limits
from .reply import Reply
from .response import Response, StreamedResponse
from .retry import Retry
from .tls import tls_context
from .trace import Trace
from .url import URL

__all__ = [
    "URL",
    "Auth",
    "BadStatus",
    "Basic",
    "Bearer",
    "Client",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "ConnectionRefused",
    "DecodingError",
    "FetchTimeout",
    "HTTPError",
    "Headers",
    "Inspect",
    "InvalidURL",
    "Limits",
    "Netrc",
    "NotHTML",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ReadTimeout",
    "RedirectError",
    "RefusedResponse",
    "Reply",
    "ResolveError",
    "Response",
    "Retry",
    "StreamedResponse",
    "TLSError",
    "TLSTimeout",
    "TooLarge",
    "TotalTimeout",
    "Trace",
    "WriteTimeout",
    "tls_context",
]
