"""What the `ssl...` arguments of a call mean: a context, and seconds."""

from __future__ import annotations

# The ssl module encodes the name of a server with this, and would import it when the first
# connection is made: see `attach` for why that may be too late.
import encodings.idna  # noqa: F401
import ssl

__all__ = ["HANDSHAKE_TIMEOUT", "SHUTDOWN_TIMEOUT", "context_from", "seconds"]

# Seconds, unless the caller says otherwise. Source: the CPython documentation of `loop.start_tls`.
HANDSHAKE_TIMEOUT = 60.0
SHUTDOWN_TIMEOUT = 30.0


def seconds(what: str, timeout: float | None, default: float) -> float:
    """`timeout`, or `default` if it is None. Raises ValueError unless it is positive."""
    if timeout is None:
        return default
    if not timeout > 0:  # nor is NaN
        raise ValueError(f"ssl_{what}_timeout must be a positive number of seconds, got {timeout}")
    return timeout


def context_from(
    sslcontext: ssl.SSLContext | bool | None, server_side: bool, server_hostname: str | None
) -> ssl.SSLContext:
    """The context itself, or for a client that says True one with default settings.

    Raises TypeError for anything else, ValueError for a server without one.
    """
    if isinstance(sslcontext, ssl.SSLContext):
        return sslcontext
    if sslcontext is not None and sslcontext is not True:
        raise TypeError(f"ssl must be an ssl.SSLContext or True, got {sslcontext!r}")
    if server_side:
        raise ValueError("a TLS server needs an ssl.SSLContext with its certificate, got none")
    context = ssl.create_default_context()
    if not server_hostname:
        context.check_hostname = False
    return context
