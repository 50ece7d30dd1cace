"""A certificate for the TLS benchmarks, made anew in each process."""

from __future__ import annotations

import functools
import ssl

__all__ = ["client_context", "server_context"]


@functools.cache
def server_context() -> ssl.SSLContext:
    """What a server under test needs: a certificate for localhost from an authority of its own."""
    import trustme  # here, since all other benchmarks do without it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """What the far end needs. It takes any certificate: who it talks to is not in question here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
