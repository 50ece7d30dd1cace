"""Certificates that are made when the site starts, so that none is kept that could expire."""

import ssl
from pathlib import Path

import trustme


def server_contexts(ca_file: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts for localhost and 127.0.0.1: one to be trusted and one not to be.

    ``ca_file`` receives the authority that vouches for the first.
    """
    trusted, stranger = trustme.CA(), trustme.CA()
    trusted.cert_pem.write_to_path(str(ca_file))
    return _context(trusted), _context(stranger)


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context
