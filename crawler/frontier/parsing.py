"""What one line of the list says.

A URL is read as a browser reads what is typed into it: spaces, emoji and other characters that
URLs cannot hold are percent-encoded. Only control characters are refused, as the output separates
its columns with one. What is no URL is reported with what to do about it.
"""

import re
from typing import NamedTuple

from crawler.http import URL, InvalidURL

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
    """A URL to fetch: ``source`` as it is written down, and parsed.

    ``named`` says that it is from the user's list and not from a page. ``tries`` is how often it
    was asked for in vain, ``redirects`` how many led to it. ``sitemap`` is 0 for a page, 1 for an
    origin whose sitemaps are to be found, and above that how deep a sitemap lies in indexes.
    """

    source: str
    url: URL
    named: bool = True
    tries: int = 0
    redirects: int = 0
    sitemap: int = 0

    @property
    def key(self) -> str:
        """The URL without its fragment: what is the same page has the same key."""
        return self.url.href.partition("#")[0]


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
    try:
        return Job(text, URL(text))
    except InvalidURL as error:
        return Malformed(number, text[:200], advice(text) or error.detail)


def advice(text: str) -> str | None:
    """What may have been meant by a text that is no URL: a host, or a URL in brackets or quotes."""
    if _HOST.match(text):
        return f"not an absolute URL: did you mean http://{text[:100]} or https://…?"
    inner = text.strip("<>()[]\"'`,;")
    if inner != text and inner.startswith(("http://", "https://")):
        return f"not an absolute URL: did you mean {inner[:100]}?"
    return None


def _shown(raw: bytes) -> str:
    return raw.strip()[:200].decode("utf-8", "backslashreplace")
