"""Which characters a page's bytes stand for.

The order is that of the HTML standard ("Determining the character encoding"): a byte order mark
beats the ``charset`` of the Content-Type header, which beats a ``<meta>`` in the first 1,024
bytes. With none of the three the answer is UTF-8 if the bytes are valid UTF-8, else windows-1252.

Labels mean what the Encoding standard says, not what Python says: pages labelled ``iso-8859-1``
are windows-1252, ``shift_jis`` is cp932, and so on.
"""

import codecs
import functools
import re
from typing import NamedTuple

import webencodings

PRESCAN_BYTES = 1024

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
)
# Two encodings that the standards decode as another one, and that Python does not know or decodes
# more strictly.
_DECODED_AS = {"gbk": "gb18030", "x-user-defined": "cp1252"}
_HEADER_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s"';,]+)""", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(rb"<meta[\s/][^>]*", re.IGNORECASE)
_META_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([^\s"'/>;]+)""", re.IGNORECASE)


class Decoded(NamedTuple):
    """A page as text, and the Python codec that made it so."""

    text: str
    codec: str


def decode(body: bytes, content_type: str) -> Decoded:
    """The body as text; bytes that are invalid in its encoding become U+FFFD."""
    for mark, codec in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return Decoded(body[len(mark) :].decode(codec, "replace"), codec)
    labelled = _header_codec(content_type) or _meta_codec(body)
    if labelled is not None:
        return Decoded(body.decode(labelled, "replace"), labelled)
    try:
        return Decoded(body.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return Decoded(body.decode("cp1252", "replace"), "cp1252")


def to_utf8(body: bytes, content_type: str) -> tuple[bytes, str]:
    """The page in UTF-8, and the Python codec that it was in.

    A body that is valid UTF-8, as most are, is the answer itself, without a copy.
    """
    text, codec = decode(body, content_type)
    if codec == "utf-8" and "\ufffd" not in text:
        return body.removeprefix(codecs.BOM_UTF8), codec
    return text.encode(), codec


def _header_codec(content_type: str) -> str | None:
    match = _HEADER_CHARSET.search(content_type)
    return _codec(match[1]) if match else None


def _meta_codec(body: bytes) -> str | None:
    """Find ``<meta charset=…>`` or ``<meta … content="…; charset=…">`` among the first bytes."""
    head = _COMMENT.sub(b"", body[:PRESCAN_BYTES])
    for meta in _META.finditer(head):
        match = _META_CHARSET.search(meta[0])
        codec = _codec(match[1].decode("ascii", "replace")) if match else None
        if codec is not None:
            # The standard: a page whose <meta> could be read as ASCII is not UTF-16.
            return "utf-8" if codec.startswith("utf-16") else codec
    return None


@functools.lru_cache(maxsize=256)
def _codec(label: str) -> str | None:
    """Python's codec for an encoding label of the web, or None for a label that means nothing."""
    encoding = webencodings.lookup(label)
    if encoding is None or encoding.name == "replacement":
        return None
    return _DECODED_AS.get(encoding.name) or encoding.codec_info.name
