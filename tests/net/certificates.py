"""A certificate authority made for this run, and contexts that trust it."""

from __future__ import annotations

import ssl

import trustme

AUTHORITY = trustme.CA()
SERVER = AUTHORITY.issue_cert("localhost", "127.0.0.1")
CLIENT = AUTHORITY.issue_cert("client@example.org")
STRANGER = trustme.CA()


def server_context(*, wants_certificate: bool = False) -> ssl.SSLContext:
    """For a server that is "localhost"."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    SERVER.configure_cert(context)
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        AUTHORITY.configure_trust(context)
    return context


def client_context(
    *, shows_certificate: bool = False, authority: trustme.CA = AUTHORITY
) -> ssl.SSLContext:
    """For a client that trusts `authority` and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    if shows_certificate:
        CLIENT.configure_cert(context)
    return context
