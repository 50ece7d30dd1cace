"""What one line of the list says.

A URL is read as a browser reads what is typed into it: spaces, emoji and other characters that
URLs cannot hold are percent-encoded. Only control characters are refused, as the output separates
its columns with one. What is no URL is reported with what to do about it.
"""

import re
from typing import NamedTuple

from crawler.http import URL, InvalidURL
from crawler.page.hosts import MAX_HOST, host_is_too_long

from .lines import MAX_LINE

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# A host, perhaps with a port, where a scheme should be.
_HOST = re.compile(
    r"(?:(?:[^\s/?#:@.]+\.)+[^\s/?#:@.]+(?::[0-9]+)?|[^\s/?#:@.]+:[0-9]+)(?=[/?#]|\Z)"
)
# What editors and shells leave around a line besides blanks: the mark of the line's encoding.
_AROUND = "\ufeff"


class Malformed(NamedTuple):
    """A line of the list that holds no URL: its number, from 1, its text, and why."""

    line: int
    text: str
    why: str


class Job(NamedTuple):
    """A URL to fetch: ``source`` as the list has it, and parsed."""

    source: str
    url: URL


def parse_line(raw: bytes, number: int) -> Job | Malformed | None:
    """What one line says, in UTF-8; None for a blank line or a comment."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if raw.lstrip().startswith(b"#"):
            return None
        byte = raw[error.start]
        return Malformed(number, _shown(raw), f"not UTF-8: the byte 0x{byte:02X}")
    text = text.strip().strip(_AROUND).strip()
    if not text or text.startswith("#"):
        return None
    if len(raw) > MAX_LINE:
        return Malformed(number, _shown(raw), f"longer than {MAX_LINE:,} bytes")
    if control := _CONTROL.search(text):
        return Malformed(number, text[:200], f"the control character {control[0]!r} inside the URL")
    if host_is_too_long(text):
        return Malformed(number, text[:200], f"a host name of more than {MAX_HOST} characters")
    try:
        return Job(text, URL(text))
    except InvalidURL as error:
        return Malformed(number, text[:200], _advice(text) or error.detail)


def _advice(text: str) -> str | None:
    if _HOST.match(text):
        return f"not an absolute URL: did you mean http://{text[:100]} or https://…?"
    return None


def _shown(raw: bytes) -> str:
    return raw.strip()[:200].decode("utf-8", "backslashreplace")
