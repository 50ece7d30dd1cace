"""Cookies: the standard library's jar, told about our requests and replies, and kept small.

``http.cookiejar`` has the rules of RFC 6265 that matter here: domains, paths, expiry. Where it
drops a cookie because of an attribute that the RFC has ignored (section 5.2), or obeys one that the
RFC does not know, the attribute is left out before. A site does not set cookies for its neighbours
under a public suffix (section 5.3, step 5). Of a server that sets cookies without end the latest
are kept, in the numbers of section 6.1.

``Secure``, ``__Secure-`` and ``__Host-`` are as RFC 6265bis has them (section 5.7): what came in
the clear neither sets nor replaces a cookie that is for TLS.
"""

import contextlib
import email.message
import re
import urllib.request
from collections import Counter
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy

from .errors import HTTPError
from .headers import Headers
from .suffixes import is_address, is_public_suffix, load_beside
from .url import URL, reference_in

PER_DOMAIN = 50
# Of what a single reply sets, the last lines count: more than this nobody needs.
PER_REPLY = 200
IN_ALL = 3000
# Longer ones are ignored, as browsers do (RFC 6265bis, section 5.6), in bytes.
LONGEST = 4096


_Key = tuple[str, str, str]
"""A domain, a path and a name."""


class Cookies:
    """The cookies of a client; ``jar`` may be shared with others that use ``http.cookiejar``."""

    def __init__(self, jar: CookieJar | None = None) -> None:
        self._policy = _Strict() if jar is None else None
        self.jar = CookieJar(self._policy) if jar is None else jar

    async def prepare(self) -> None:
        """Have what :meth:`take` may ask for; it would be loaded on the loop there."""
        if self._policy is not None:
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
        request = urllib.request.Request(url.href)
        # One by one: the jar would do what deletes cookies before what sets them.
        for line in headers.get_all("set-cookie")[-PER_REPLY:]:
            if len(line) > LONGEST or _CONTROL.search(line):
                continue
            message = email.message.Message()
            message["Set-Cookie"] = _known(line, url.server_name)
            self.jar.extract_cookies(_Reply(message), request)  # type: ignore[arg-type]
        if self._policy is not None:
            self._policy.trim(self.jar)


# What must not be in a cookie: it is ignored as a whole (RFC 6265bis, section 5.6).
_CONTROL = re.compile(r"[\0-\x08\x0a-\x1f\x7f]")
_NUMBER = re.compile(r"-?[0-9]{1,15}")


def _known(line: str, host: str) -> str:
    """A ``Set-Cookie`` with those of its attributes that mean something; of equal ones the last."""
    pair, *attributes = line.split(";")
    known: dict[str, str] = {}
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        name, value = name.strip().lower(), value.strip(" \t")
        if (
            (name == "max-age" and _NUMBER.fullmatch(value))
            or (name == "path" and value.startswith("/"))
            or (name == "expires" and value)
        ):
            known[name] = f"{name}={value}"
        elif name == "domain" and value.strip("."):
            known[name] = f"{name}={_domain(value)}"
        elif name == "path":
            known.pop(name, None)
        elif name in ("secure", "httponly", "samesite"):
            known[name] = attribute.strip()
    if "max-age" in known:
        known.pop("expires", None)
    if known.get("domain", "").removeprefix("domain=").strip("[]") == host and (
        "." not in host or is_address(host)
    ):
        del known["domain"]  # a host that is no domain names itself, which says nothing
    return "; ".join([pair, *known.values()])


def _domain(value: str) -> str:
    """The value of ``Domain`` as hosts are written; a name of another script in ASCII."""
    value = value.removeprefix(".")
    if not value.isascii():
        with contextlib.suppress(HTTPError):
            return URL(f"http://{reference_in(value)}/").host
    return value.lower()


class _Reply:
    """What the jar asks of a reply."""

    def __init__(self, message: email.message.Message) -> None:
        self._message = message

    def info(self) -> email.message.Message:
        return self._message


def _is_for_strangers(cookie: Cookie) -> bool:
    """Whether a cookie would go to all who share a public suffix; the suffix's own is its own."""
    return cookie.domain_specified and is_public_suffix(cookie.domain.removeprefix("."))


class _Strict(DefaultCookiePolicy):
    """The usual policy, without what a cookie must not do, and the order in which they were set."""

    def __init__(self) -> None:
        # A cookie without a domain is for the host that set it, and none below it (section 5.3).
        super().__init__(strict_domain=True, strict_ns_domain=self.DomainStrictNonDomain)
        # Whether each is secure; the one that was set longest ago first.
        self._known: dict[_Key, bool] = {}
        self._per_domain: Counter[str] = Counter()
        self._crowded = False

    def set_ok(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        if not super().set_ok(cookie, request) or _is_for_strangers(cookie):
            return False
        key = cookie.domain, cookie.path, cookie.name
        if request.type != "https" and (cookie.secure or self._known.get(key, False)):
            return False
        name = cookie.name.lower()
        if name.startswith(("__secure-", "__host-")) and not cookie.secure:
            return False
        if name.startswith("__host-") and (cookie.domain_specified or cookie.path != "/"):
            return False
        if cookie.domain_specified and is_address(cookie.domain):
            return False  # an address is in no domain
        if self._known.pop(key, None) is None:
            self._per_domain[cookie.domain] += 1
            if len(self._known) >= IN_ALL or self._per_domain[cookie.domain] > PER_DOMAIN:
                self._crowded = True
        self._known[key] = cookie.secure
        return True

    def trim(self, jar: CookieJar) -> None:
        """Drop the oldest of those that are too many."""
        if not self._crowded:
            return
        self._crowded = False
        there = {(cookie.domain, cookie.path, cookie.name) for cookie in jar}
        for key in [key for key in self._known if key not in there]:  # expired, or deleted
            self._forget(key)
        for key in list(self._known):
            if len(self._known) > IN_ALL or self._per_domain[key[0]] > PER_DOMAIN:
                self._forget(key)
                jar.clear(*key)

    def _forget(self, key: _Key) -> None:
        del self._known[key]
        self._per_domain[key[0]] -= 1
        if not self._per_domain[key[0]]:
            del self._per_domain[key[0]]
