"""Credentials: the value of ``Authorization`` for a URL.

``auth=("user", "password")`` is Basic (RFC 7617), ``auth=Bearer("token")`` a token (RFC 6750), and
``auth=Netrc()`` looks the host up in ``~/.netrc``. The first two are for the origin of the URL that
was asked for, and not for one that it redirects to.
"""

import base64
from pathlib import Path
from typing import Protocol

from .url import URL


class Auth(Protocol):
    """Anything that gives the credentials for a URL.

    ``everywhere`` is true if it may be asked about URLs of other origins, because it decides by
    itself which host gets which credentials.
    """

    everywhere: bool

    def header(self, url: URL) -> str | None:
        """The value of ``Authorization``, or None."""


class Basic:
    """A name and a password, in UTF-8 unless they are bytes."""

    everywhere = False

    def __init__(self, user: str | bytes, password: str | bytes) -> None:
        parts = []
        for part in (user, password):
            if not isinstance(part, str | bytes):
                raise TypeError(f"a name and a password must be text, got {type(part).__name__}")
            parts.append(part.encode() if isinstance(part, str) else part)
        if b":" in parts[0]:
            raise ValueError(f"a user name must not contain a colon, got {user!r}")
        credentials = b":".join(parts)
        self._value = "Basic " + base64.b64encode(credentials).decode("ascii")

    def header(self, url: URL) -> str:
        """The same for every URL."""
        return self._value


class Bearer:
    """A token."""

    everywhere = False

    def __init__(self, token: str) -> None:
        if not token or not token.isascii() or not token.isprintable():
            raise ValueError("a token must be printable ASCII")  # which one is nobody's business
        self._value = f"Bearer {token}"

    def header(self, url: URL) -> str:
        """The same for every URL."""
        return self._value


class Netrc:
    """The file in which curl, ftp and others keep passwords, read once.

    Raises OSError if the file cannot be read, ``netrc.NetrcParseError`` if it makes no sense. A
    ``default`` entry is not used: it would give its password to every server that links lead to.
    """

    everywhere = True

    def __init__(self, path: str | Path | None = None) -> None:
        import netrc

        file = Path.home() / ".netrc" if path is None else Path(path)
        entries = netrc.netrc(str(file)).hosts
        entries.pop("default", None)
        self._hosts = {host.lower().strip("[]").removesuffix("."): e for host, e in entries.items()}

    def header(self, url: URL) -> str | None:
        """What the file has for the host."""
        host = url.tls_name
        if host not in self._hosts:
            return None
        user, _, password = self._hosts[host]
        return Basic(user, password or "").header(url)


def as_auth(auth: "Auth | tuple[str, str] | None") -> Auth | None:
    """A pair of name and password is Basic."""
    if isinstance(auth, tuple) and len(auth) == 2:
        return Basic(*auth)
    if auth is not None and not hasattr(auth, "header"):
        kind = type(auth).__name__
        raise TypeError(f"auth must be a pair of name and password, or an Auth, got a {kind}")
    return auth
