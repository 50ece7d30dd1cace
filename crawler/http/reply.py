"""One reply as it came: its head, its body, and what was odd about it."""

import re

from .errors import HTTPError
from .headers import Headers

# What a reply may be flagged with, beside its result.
MENDED_HEAD = "mended head"
NO_FAREWELL = "no TLS farewell"
PARTIAL = "partial content"
NO_CONTENT = "no content"

# Statuses whose reply has no body, whatever its headers say (RFC 9112, section 6.3).
_BODILESS = (204, 304)
# What stands in ``Connection`` where another request may follow.
_GOES_ON = (None, b"keep-alive", b"Keep-Alive")


_KEPT = re.compile(r"timeout\s*=\s*\"?([0-9]{1,9})", re.ASCII | re.IGNORECASE)


def seconds_kept(headers: Headers) -> float | None:
    """What ``Keep-Alive: timeout=`` says (RFC 2068, section 19.7.1), None if nothing."""
    match = _KEPT.search(headers.get("keep-alive", ""))
    return None if match is None else float(match[1])


class Reply:
    """A reply as it came: no redirect followed, the body decompressed but not decoded to text.

    ``headers`` is a mapping with lower-case names, see :class:`crawler.http.headers.Headers`.
    ``length`` is what the head says of the body in bytes, None if it does not. ``refusal`` is the
    error with which the caller's ``inspect`` turned it down. ``complete`` says that the body was
    read to its end. ``flags`` name what was odd and did no harm.
    """

    __slots__ = (
        "body",
        "complete",
        "endless",
        "flags",
        "headers",
        "length",
        "phrase",
        "refusal",
        "simple",
        "status",
        "version",
        "wire_bytes",
    )

    def __init__(
        self, status: int, phrase: bytes, version: bytes, headers: Headers, method: str = "GET"
    ) -> None:
        self.status = status
        self.phrase = phrase.decode("latin-1")
        self.version = version.decode("ascii")
        self.headers = headers
        self.body = b""
        self.wire_bytes = 0
        self.complete = False
        self.refusal: HTTPError | None = None
        self.flags: tuple[str, ...] = ()
        self.length: int | None = None
        # The body has a length, and the connection goes on after it, which is what a reply says
        # by saying nothing, or needlessly.
        self.simple = False
        # Nothing but the end of the connection ends the body.
        self.endless = False
        if self.status in _BODILESS or method == "HEAD":
            self.length = 0
        elif "transfer-encoding" not in headers.index:
            length = headers.get("content-length")
            if length is None:
                self.endless = True
            else:
                self.length = int(length)
                self.simple = headers.index.get("connection") in _GOES_ON and self.version == "1.1"
        if self.status == 206:
            self.flags = (PARTIAL,)
        elif self.status in (204, 205):
            self.flags = (NO_CONTENT,)

    @property
    def keeps_alive(self) -> bool:
        """Whether the server says that another request may follow (RFC 9112, section 9.3)."""
        said = self.headers.get("connection", "").lower()
        return self.version >= "1.1" and "close" not in [part.strip() for part in said.split(",")]

    def flag(self, name: str) -> None:
        """Note something odd."""
        if name not in self.flags:
            self.flags = (*self.flags, name)
