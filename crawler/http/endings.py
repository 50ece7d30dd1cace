"""The errors that end an exchange, with their texts."""

import ssl

from .errors import ConnectionLost, HTTPError, TLSError, TooLarge
from .url import URL


def too_large(url: URL, size: int, limit: int) -> TooLarge:
    """A body whose head says that it is over the limit."""
    return TooLarge(url.href, f"the body has {size:,} bytes, the limit is {limit:,}")


def cut_short(url: URL) -> ConnectionLost:
    """A reply that ended before it was complete."""
    return ConnectionLost(url.href, "closed by the server in the middle of the reply")


def refused_tls(url: URL, name: str, error: ssl.SSLError) -> TLSError:
    """What went wrong in TLS with the server ``name``, with OpenSSL's own words beside ours."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = _CERTIFICATES.get(error.verify_code)
        told = error.verify_message
        text = f"the certificate of {name} is not valid: "
        return TLSError(url.href, text + (told if why is None else f"{why} ({told.rstrip('.')})"))
    told = error.reason or str(error)
    for part, why in _HANDSHAKES.items():
        if part in told:
            return TLSError(url.href, f"{why} ({told})")
    return TLSError(url.href, told)


# By the numbers of <openssl/x509_vfy.h>.
_CERTIFICATES = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is signed by nobody but itself",
    19: "it is signed by an authority that is not trusted here",
    20: "it is signed by an authority that is not trusted here",
    21: "it is signed by an authority that is not trusted here",
    23: "it has been revoked",
    62: "it is for other names",
    64: "it is for other addresses",
}
# By a part of the name of OpenSSL's reason; the first that fits.
_HANDSHAKES = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS",
    "HTTP_REQUEST": "the server does not speak TLS",
    "PACKET_LENGTH_TOO_LONG": "the server does not speak TLS",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS",
    "UNEXPECTED_EOF": "the server gave up the handshake",
    "PROTOCOL_VERSION": "the server speaks no version of TLS that is safe",
    "UNSUPPORTED_PROTOCOL": "the server speaks no version of TLS that is safe",
    "HANDSHAKE_FAILURE": "the server refused the handshake",
    "UNRECOGNIZED_NAME": "the server knows no such name",
    "CERTIFICATE_REQUIRED": "the server asks for a client certificate",
    "KEY_TOO_SMALL": "the key of the server is too weak",
    "ALERT_UNKNOWN_CA": "the server does not trust the client certificate",
    "ALERT_BAD_CERTIFICATE": "the server does not take the client certificate",
}


def broken(url: URL, error: OSError) -> HTTPError:
    """What the failure of a stream means."""
    if isinstance(error, ssl.SSLError):
        return refused_tls(url, url.tls_name, error)
    return ConnectionLost(url.href, error.strerror or str(error))
