"""What the site's server sends for one request: bytes, a moment to wait, and how it ends."""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple


class Ending(Enum):
    """What happens to the connection once the bytes are sent."""

    KEEP = "it waits for the next request"
    CLOSE = "it is closed"
    RESET = "it is reset"
    HANG = "nothing, ever"
    DRIP = "a byte at a time follows, without an end"


class Answer(NamedTuple):
    """``delay`` is in seconds, before the first byte."""

    data: bytes
    ending: Ending = Ending.KEEP
    delay: float = 0.0


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """The head of a reply, with the empty line at its end."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def reply(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """A reply whose body has a Content-Length."""
    return Answer(head(status, {**headers, "Content-Length": str(len(body))}) + body)


def chunked(status: int, headers: Mapping[str, str], body: bytes, size: int = 1500) -> Answer:
    """A reply whose body comes in chunks of ``size`` bytes (RFC 9112, section 7.1)."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return Answer(head(status, {**headers, "Transfer-Encoding": "chunked"}) + chunks + b"0\r\n\r\n")


def closing(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """A reply whose body ends when the connection does."""
    return Answer(head(status, {**headers, "Connection": "close"}) + body, Ending.CLOSE)
