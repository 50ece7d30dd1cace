"""What a Content-Type says, in the words that servers use for it.

The rules are those of browsers: the Fetch standard's "extract a MIME type" for fields that came
more than once, and the MIME Sniffing standard for what a type is and for bodies without one. A
field that says nothing valid (``html``, ``charset=utf-8``, ``text/html charset=utf-8``) counts as
none.
"""

import functools
import re
from typing import NamedTuple

HTML_TYPES = frozenset({"text/html"})
XHTML_TYPES = frozenset({"application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
# Types with which a server says that it does not know.
_UNKNOWN = frozenset({"unknown/unknown", "application/unknown", "*/*"})

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_BLANK = " \t\r\n"
_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})[{_BLANK}]*+(?:;|\Z)")
_PARAMETER = re.compile(
    rf'[{_BLANK}]*+([^;=]*+)(?:=(?:"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)[^;]*+|([^;]*+)))?+(?:;|\Z)',
    re.DOTALL,
)
_ONE_OF_MANY = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++', re.DOTALL)

# Bytes that no text has (MIME Sniffing, "binary data byte"), among as many as are looked at.
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_HEADER_BYTES = 1445
_MARKS = (b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf")
_NOT_HTML = (b"%PDF-", b"%!PS-Adobe-")


class ContentType(NamedTuple):
    """A type in lower case, such as ``text/html``, and its charset parameter as it was sent."""

    essence: str
    charset: str | None


@functools.lru_cache(maxsize=256)
def content_type(field: str) -> ContentType | None:
    """What the field says, or None for nothing valid.

    Fields that came more than once are joined with commas: the last valid one counts, and keeps
    the charset of the one before it if that is of the same type.
    """
    found: ContentType | None = None
    for text in _ONE_OF_MANY.findall(field):
        one = _parse(text.strip(_BLANK))
        if one is None or one.essence == "*/*":
            continue
        if one.charset is None and found is not None and found.essence == one.essence:
            continue
        found = one
    return found


def is_html(field: str) -> bool | None:
    """Whether the field announces HTML or XHTML; None if it does not say, and the body must."""
    found = content_type(field)
    if found is None or found.essence in _UNKNOWN:
        return None
    return found.essence in HTML_TYPES or found.essence in XHTML_TYPES


def is_xhtml(field: str) -> bool:
    """Whether the field announces XHTML, which is XML."""
    found = content_type(field)
    return found is not None and found.essence in XHTML_TYPES


def may_be_html(body: bytes) -> bool:
    """Whether a body without a type can be HTML: it is text, and of no other known kind."""
    if body.startswith(_NOT_HTML):
        return False
    return body.startswith(_MARKS) or _BINARY.search(body, 0, _HEADER_BYTES) is None


def _parse(text: str) -> ContentType | None:
    match = _TYPE.match(text)
    if match is None:
        return None
    charset: str | None = None
    position = match.end()
    while position < len(text) and charset is None:
        parameter = _PARAMETER.match(text, position)
        assert parameter is not None  # all of it is optional
        position = parameter.end()
        name, quoted, bare = parameter.groups()
        if name.lower() == "charset":
            charset = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
    return ContentType(match[1].lower(), (charset and charset.strip(_BLANK)) or None)
