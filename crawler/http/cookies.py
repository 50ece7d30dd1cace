"""Cookies: the standard library's jar, told about our requests and replies, and kept small.

``http.cookiejar`` has the rules of RFC 6265 that matter here: domains, paths, ``Secure``, expiry.
Where it drops a cookie because of an attribute that the RFC has ignored (section 5.2), or obeys one
that the RFC does not know, the attribute is left out before. A site does not set cookies for its
neighbours under a public suffix (section 5.3, step 5), and a server that sets cookies without end
is stopped at the numbers of section 6.1.
"""

import email.message
import re
import urllib.request
from collections import Counter
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy

from .headers import Headers
from .suffixes import is_public_suffix, load_beside
from .url import URL

PER_DOMAIN = 50
IN_ALL = 3000
# Longer ones are ignored, as browsers do (RFC 6265bis, section 5.6), in bytes.
LONGEST = 4096


class Cookies:
    """The cookies of a client; ``jar`` may be shared with others that use ``http.cookiejar``."""

    def __init__(self, jar: CookieJar | None = None) -> None:
        self._bounded = jar is None
        self.jar = CookieJar(_Bounded()) if jar is None else jar

    async def prepare(self) -> None:
        """Have what :meth:`take` may ask for; it would be loaded on the loop there."""
        if self._bounded:
            await load_beside()

    def header(self, url: URL) -> str:
        """The value of ``Cookie`` for ``url``, empty if there is none to send."""
        # Looking through an empty jar costs as much as through a full one.
        if next(iter(self.jar), None) is None:
            return ""
        request = urllib.request.Request(url.href)
        self.jar.add_cookie_header(request)
        return request.get_header("Cookie") or ""

    def take(self, url: URL, headers: Headers) -> None:
        """Keep what a reply sets."""
        if "set-cookie" not in headers:
            return
        message = email.message.Message()
        for line in headers.get_all("set-cookie"):
            if len(line) <= LONGEST:
                message["Set-Cookie"] = _known(line)
        reply, request = _Reply(message), urllib.request.Request(url.href)
        self.jar.extract_cookies(reply, request)  # type: ignore[arg-type]


_NUMBER = re.compile(r"-?[0-9]{1,15}")


def _known(line: str) -> str:
    """A ``Set-Cookie`` with those of its attributes that mean something; of equal ones the last."""
    pair, *attributes = line.split(";")
    known: dict[str, str] = {}
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        name, value = name.strip().lower(), value.strip(" \t")
        if (
            (name == "max-age" and _NUMBER.fullmatch(value))
            or (name == "path" and value.startswith("/"))
            or (name == "domain" and value.strip("."))
            or (name == "expires" and value)
        ):
            known[name] = f"{name}={value}"
        elif name == "path":
            known.pop(name, None)
        elif name in ("secure", "httponly", "samesite"):
            known[name] = attribute.strip()
    if "max-age" in known:
        known.pop("expires", None)
    return "; ".join([pair, *known.values()])


class _Reply:
    """What the jar asks of a reply."""

    def __init__(self, message: email.message.Message) -> None:
        self._message = message

    def info(self) -> email.message.Message:
        return self._message


def _is_for_strangers(cookie: Cookie) -> bool:
    """Whether a cookie would go to all who share a public suffix; the suffix's own is its own."""
    return cookie.domain_specified and is_public_suffix(cookie.domain.removeprefix("."))


class _Bounded(DefaultCookiePolicy):
    """The usual policy, and no more cookies than a browser would keep."""

    def __init__(self) -> None:
        # A cookie without a domain is for the host that set it, and none below it (section 5.3).
        super().__init__(strict_domain=True, strict_ns_domain=self.DomainStrictNonDomain)
        self._known: set[tuple[str, str, str]] = set()
        self._per_domain: Counter[str] = Counter()

    def set_ok(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        if not super().set_ok(cookie, request) or _is_for_strangers(cookie):
            return False
        key = cookie.domain, cookie.path, cookie.name
        if key in self._known:
            return True
        if len(self._known) >= IN_ALL or self._per_domain[cookie.domain] >= PER_DOMAIN:
            return False
        self._known.add(key)
        self._per_domain[cookie.domain] += 1
        return True
