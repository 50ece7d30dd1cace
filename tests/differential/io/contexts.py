"""TLS contexts, each made once."""

from __future__ import annotations

import ssl
from functools import cache

from tests.net import certificates

__all__ = ["client_tls", "server_tls"]


@cache
def server_tls() -> ssl.SSLContext:
    return certificates.server_context()


@cache
def client_tls(trusts: bool = True) -> ssl.SSLContext:
    if trusts:
        return certificates.client_context()
    return certificates.client_context(authority=certificates.STRANGER)
