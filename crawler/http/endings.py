"""How an exchange ends that does not end well: the errors, with the words for them."""

import ssl

from .errors import ConnectionLost, HTTPError, TLSError, TooLarge
from .url import URL


def too_large(url: URL, size: int, limit: int) -> TooLarge:
    """A body whose head says that it is over the limit."""
    return TooLarge(url.href, f"the body has {size:,} bytes, the limit is {limit:,}")


def cut_short(url: URL) -> ConnectionLost:
    """A reply that ended before it was complete."""
    return ConnectionLost(url.href, "closed by the server in the middle of the reply")


def broken(url: URL, error: OSError) -> HTTPError:
    """What the failure of a stream means."""
    if isinstance(error, ssl.SSLError):
        return TLSError(url.href, error.reason or str(error))
    return ConnectionLost(url.href, error.strerror or str(error))
