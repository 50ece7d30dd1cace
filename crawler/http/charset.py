"""Which characters a page's bytes stand for.

The order is that of the HTML standard ("Determining the character encoding"): a byte order mark
beats the ``charset`` of the Content-Type header, which beats what the page says itself: a
``<meta>`` among its first 1,024 bytes, an XML declaration, or a ``<meta>`` that comes later and
would make a browser begin again. With none of these the answer is UTF-8 if the bytes are valid
UTF-8, else windows-1252.

Labels mean what the Encoding standard says, not what Python says: pages labelled ``iso-8859-1``
are windows-1252, ``shift_jis`` is cp932, and so on. Bytes that Python leaves undefined in a code
page are control characters there.

A page may be long and its bytes all wrong, so the work can be done in steps: :func:`utf8_steps`.
"""

import codecs
import functools
import re
from collections.abc import Generator
from typing import Any, NamedTuple

import webencodings

from crawler.markup.references import attribute_text
from crawler.markup.scanner import scan

from .mime import content_type

PRESCAN_BYTES = 1024

# Bytes that are decoded at a time.
_STEP = 64 * 1024
# So many where each of them may be wrong and Python code is asked what it stands for.
_SHORT_STEP = 4 * 1024

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
)
# Two encodings that the standards decode as another one, and that Python does not know or decodes
# more strictly.
_DECODED_AS = {"gbk": "gb18030", "x-user-defined": "cp1252"}
_MULTIBYTE = frozenset({"utf-8", "utf-16-le", "utf-16-be", "gb18030", "big5", "big5hkscs"}) | {
    *("cp932", "shift_jis", "cp949", "euc_kr", "euc_jp", "iso2022_jp"),
}
# What bytes stand for in the Encoding standard and not in Python.
_OTHERWISE = {"koi8-u": {0xAE: "\u045e", 0xBE: "\u040e"}, "cp1255": {0xCA: "\u05ba"}}
# The same for two bytes: six signs of JIS are others, as Windows has them.
_SIGNS = str.maketrans("\u301c\u2016\u2212\xa2\xa3\xac", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2")


class Decoded(NamedTuple):
    """A page as text, and the Python codec that made it so."""

    text: str
    codec: str


def decode(body: bytes, field: str) -> Decoded:
    """The body as text; bytes that are invalid in its encoding become U+FFFD.

    ``field`` is the value of Content-Type; it may be empty.
    """
    page, codec = to_utf8(body, field)
    return Decoded(page.decode(), codec)


def to_utf8(body: bytes, field: str) -> tuple[bytes, str]:
    """The page in UTF-8, and the Python codec that it was in.

    A body that is valid UTF-8, as most are, is the answer itself, without a copy.
    """
    steps = utf8_steps(body, field)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: tuple[bytes, str] = end.value
            return answer


def utf8_steps(
    body: bytes, field: str, *, xml: bool = False
) -> Generator[None, None, tuple[bytes, str]]:
    """Like :func:`to_utf8`, in steps of a few milliseconds. ``xml`` is for XHTML."""
    codec = ""
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            body, codec = body[len(mark) :], name
            break
    if not codec:
        known = _header_codec(field) or (yield from _own_codec(body, xml=xml))
        codec = known or ("utf-8" if _is_utf8(body) else "cp1252")
    if codec == "utf-8" and _is_utf8(body):
        return body, codec
    parts = []
    table = None if codec in _MULTIBYTE else _table(codec)
    step, errors = (_SHORT_STEP, _REPAIR) if codec in _REPAIRED else (_STEP, "replace")
    decoder = codecs.getincrementaldecoder(codec)(errors) if table is None else None
    for start in range(0, len(body), step):
        piece = body[start : start + step]
        if decoder is None:
            text = codecs.charmap_decode(piece, "strict", table)[0]
        else:
            text = decoder.decode(piece, start + step >= len(body))
            if codec in _OF_JIS:
                text = text.translate(_SIGNS)
        parts.append(text.encode(errors="replace"))
        if start + step < len(body):
            yield None
    return b"".join(parts), codec


def encode(text: str, codec: str, errors: str) -> bytes:
    """What :func:`to_utf8` made text of, as bytes again; ``errors`` as for ``str.encode``.

    Python's own codecs for single bytes lack some that browsers read and write.
    """
    if codec == "euc_jp":
        return b"".join(_in_euc_jp(character, errors) for character in text)
    if codec in _MULTIBYTE:
        return text.encode(codec, errors)
    return codecs.charmap_encode(text, errors, _bytes_of(codec))[0]


# ---- what Python's codecs lack ----------------------------------------------------------------

_OF_JIS = frozenset({"euc_jp", "iso2022_jp"})
_REPAIRED = frozenset({"euc_jp", "gb18030"})


def _repaired(error: UnicodeError) -> tuple[str, int]:
    """What stands for bytes that Python cannot decode: U+FFFD, unless the standard knows better.

    Rows of signs and letters that NEC and IBM have added to JIS are in Windows' code page for it,
    and 0x80 is the euro in that for Chinese.
    """
    assert isinstance(error, UnicodeDecodeError)
    at = error.start
    if error.encoding == "euc_jp":
        pair = error.object[at : at + 2]
        if len(pair) == 2 and min(pair) > 0xA0 and max(pair) < 0xFF:
            return _from_windows(pair), at + 2
    elif error.encoding == "gb18030" and error.object[at] == 0x80:
        return "\u20ac", at + 1
    return "\ufffd", error.end


def _from_windows(pair: bytes) -> str:
    """The character of JIS at a place that EUC-JP has as ``pair``."""
    row, column = pair[0] - 0xA1, pair[1] - 0xA1
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = column + (0x9F if row % 2 else 0x40 + (column > 62))
    try:
        return bytes([lead, trail]).decode("cp932")
    except UnicodeDecodeError:
        return "\ufffd"


@functools.cache
def _pairs() -> dict[str, bytes]:
    """The first pair of bytes for each character of JIS, the additions included."""
    places = range(0xFE, 0xA0, -1)
    pairs = {_from_windows(pair): pair for a in places for b in places if (pair := bytes([a, b]))}
    del pairs["\ufffd"]
    return pairs


def _in_euc_jp(character: str, errors: str) -> bytes:
    pair = _pairs().get(character)
    if pair is not None:
        return pair
    try:
        encoded = character.encode("euc_jp")
        if encoded[0] != 0x8F:  # three bytes, which browsers read and do not write
            return encoded
    except UnicodeEncodeError:
        pass
    return character.encode("ascii", errors)


_REPAIR = "crawler-repair"
codecs.register_error(_REPAIR, _repaired)


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


# ---- what says so -----------------------------------------------------------------------------

_SPACE = rb"[ \t\n\f\r]*+"
_QUOTED = re.compile(r"""((?:^|[;,\s])charset\s*=\s*)?"[^"]*+"?""", re.IGNORECASE)
_HEADER_CHARSET = re.compile(r"""(?:^|[;,\s])charset\s*=\s*["']?([^\s"';,]+)""", re.IGNORECASE)
_META_CHARSET = re.compile(r"""charset[ \t\n\f\r]*+=[ \t\n\f\r]*+("[^"]*+"|'[^']*+'|[^"'])""", re.I)
_UNQUOTED = re.compile(r"[^ \t\n\f\r;]*+")
_XML_ENCODING = re.compile(
    rb"<\?xml(?=[ \t\n\r])[^>]*?[ \t\n\r]encoding" + _SPACE + rb"=" + _SPACE + rb"""(["'])(.*?)\1"""
)
_ANY_META = re.compile(rb"<[mM][eE][tT][aA]")
_PRESCAN = re.compile(
    rb"(<!--)|<(meta)(?=[ \t\n\f\r/])|</?[a-z][^ \t\n\f\r>]*+|(<[!/?])", re.IGNORECASE
)
# The fifth group is a quote that is not closed.
_ATTRIBUTE = re.compile(
    rb"[ \t\n\f\r/]*+([^ \t\n\f\r/>][^ \t\n\f\r/>=]*+)(?:"
    + _SPACE
    + rb"="
    + _SPACE
    + rb"""(?:"([^"]*+)"|'([^']*+)'|(?=>)|([^ \t\n\f\r>"'][^ \t\n\f\r>]*+)|(["'])))?+"""
)
_LATE = frozenset({b"meta"}), frozenset({b"charset", b"content", b"http-equiv"})


@functools.lru_cache(maxsize=256)
def _header_codec(field: str) -> str | None:
    found = content_type(field)
    if found is not None and found.charset is not None:
        codec = _codec(found.charset)
        if codec is not None:
            return codec
    # As servers write it without a type, without its semicolon, with blanks or in single quotes.
    # What other parameters hold in quotes is no charset.
    visible = _QUOTED.sub(lambda match: match[0] if match[1] else "", field)
    match = _HEADER_CHARSET.search(visible)
    return _codec(match[1]) if match else None


def _own_codec(body: bytes, *, xml: bool) -> Generator[None, None, str | None]:
    """What the page says of itself."""
    head = body[:PRESCAN_BYTES]
    if head.startswith(b"<\0?\0x\0"):
        return "utf-16-le"
    if head.startswith(b"\0<\0?\0x"):
        return "utf-16-be"
    declared = _xml_codec(head) if head.startswith(b"<?xml") else None
    if xml:
        return declared
    found = _prescan(head) or declared
    # Looking through the page costs as much as finding its links: only if there is reason to.
    if found is None and (body.find(b"harset", PRESCAN_BYTES // 2) >= 0 or b"HARSET" in body):
        for tags in scan(body, *_LATE):
            for tag in tags:
                if not isinstance(tag, bytes) and (found := _meta_codec(tag[1])) is not None:
                    return found
            yield None
    return found


def _xml_codec(head: bytes) -> str | None:
    match = _XML_ENCODING.match(head)
    return _not_utf16(_codec(match[2].decode("latin-1"))) if match else None


def _prescan(head: bytes) -> str | None:
    """Look for a ``<meta>`` as the standard does ("prescan a byte stream"): without a parser."""
    if _ANY_META.search(head) is None:
        return None
    position = 0
    while match := _PRESCAN.search(head, position):
        position = match.end()
        comment, meta, other = match.groups()
        if comment:
            position = head.find(b"-->", position - len(b"--")) + len(b"-->")
            if position < len(b"-->"):
                return None
            continue
        if other:
            position = head.find(b">", position - 1) + 1
            if not position:
                return None
            continue
        attributes: dict[bytes, bytes] = {}
        while attribute := _ATTRIBUTE.match(head, position):
            position = attribute.end()
            name, double, single, bare, unclosed = attribute.groups()
            if unclosed or position == len(head):
                return None  # what stands there goes on after the part that is looked at
            attributes.setdefault(name.lower(), double or single or bare or b"")
        if meta and (codec := _meta_codec(attributes)) is not None:
            return codec
    return None


def _meta_codec(attributes: dict[bytes, bytes]) -> str | None:
    """What a ``<meta>`` with these attributes says of the encoding, if anything."""
    label: str | None = None
    if b"charset" in attributes:
        label = attribute_text(attributes[b"charset"][:_LONGEST])
    elif attributes.get(b"http-equiv", b"").strip().lower() == b"content-type":
        label = _charset_in(attribute_text(attributes.get(b"content", b"")[:_LONGEST]))
    return None if label is None else _not_utf16(_codec(label))


# A <meta> that says more than this is not about the encoding.
_LONGEST = 1024


def _charset_in(content: str) -> str | None:
    """The encoding in ``text/html; charset=…`` ("extracting a character encoding")."""
    match = _META_CHARSET.search(content)
    if match is None:
        return None
    if len(match[1]) > 1:
        return match[1][1:-1]
    unquoted = _UNQUOTED.match(content, match.start(1))
    assert unquoted is not None  # all of it is optional
    return unquoted[0]


def _not_utf16(codec: str | None) -> str | None:
    # The standard: a page whose <meta> could be read as ASCII is not UTF-16.
    return "utf-8" if codec is not None and codec.startswith("utf-16") else codec


# ---- what it means ----------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _codec(label: str) -> str | None:
    """Python's codec for an encoding label of the web, or None for a label that means nothing."""
    encoding = webencodings.lookup(label)
    if encoding is None or encoding.name == "replacement":
        return None
    return _DECODED_AS.get(encoding.name) or encoding.codec_info.name


@functools.cache
def _table(codec: str) -> str:
    """The characters of the 256 bytes in a code page, by the Encoding standard."""
    characters = []
    for byte in range(256):
        try:
            character = bytes([byte]).decode(codec)
        except UnicodeDecodeError:
            character = chr(byte) if 0x80 <= byte < 0xA0 else "\ufffd"
        characters.append(_OTHERWISE.get(codec, {}).get(byte, character))
    return "".join(characters)


@functools.cache
def _bytes_of(codec: str) -> Any:
    """The other way round; what no byte stands for is U+FFFE there."""
    return codecs.charmap_build(_table(codec).replace("\ufffd", "\ufffe"))
