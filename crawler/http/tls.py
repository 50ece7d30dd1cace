"""What TLS contexts are made of, and the sessions that make a second handshake a short one."""

import ssl
from collections import OrderedDict
from pathlib import Path

# How many servers' sessions are kept.
_SERVERS = 1024


def tls_context(
    *,
    ca_file: str | Path | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    password: str | None = None,
    verify: bool = True,
) -> ssl.SSLContext:
    """A context that trusts the system's authorities, and those in ``ca_file`` (PEM) besides.

    ``certificate`` and ``key`` (PEM; the key may be in the certificate's file) show the server who
    we are. ``verify=False`` has any certificate do: whoever is on the way can then read and change
    what is sent.

    Raises OSError, which names the file, for one that cannot be used.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            why = _why(error, "it holds no certificates in PEM")
            raise OSError(f"cannot read certificates from {ca_file}: {why}") from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password or "")
        except OSError as error:
            named = certificate if key is None else f"{certificate} and {key}"
            why = _why(error, "it must hold a certificate and its key, in PEM")
            raise OSError(f"cannot use the client certificate {named}: {why}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _why(error: OSError, wrong: str) -> str:
    """Why a file could not be loaded; what is ``wrong`` is that OpenSSL cannot read it."""
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    told = error.reason or str(error)
    if "KEY_VALUES_MISMATCH" in told:
        return "the key is not that of the certificate"
    return f"{wrong} ({told})"


class Sessions:
    """The last session with each server; the one that was used longest ago makes room.

    A server of TLS 1.3 sends its tickets after the handshake, so a session is asked for when a
    connection has had its first reply. A ticket is used once (RFC 8446, appendix C.4).
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, ssl.SSLSession] = OrderedDict()

    def take(self, origin: str) -> ssl.SSLSession | None:
        """A session to resume with ``origin``."""
        return self._kept.pop(origin, None)

    def keep(self, origin: str, session: ssl.SSLSession | None) -> None:
        """Remember what the server gave us."""
        if session is None or not session.has_ticket:
            return
        self._kept[origin] = session
        self._kept.move_to_end(origin)
        if len(self._kept) > _SERVERS:
            self._kept.popitem(last=False)
