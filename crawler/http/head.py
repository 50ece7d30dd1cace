"""Mending the head of a reply that h11 refuses and every browser takes.

h11 is as strict as the standard allows. A head that it takes never comes here. One that it refuses
is looked at once more, and this table says what becomes of it:

    what is wrong                                           what is done
    empty lines before the status line                      mended: left out
    ``http/1.1`` in small letters, more than one space      mended
    ``HTTP/2``, ``ICY`` as the version                      mended: HTTP/1.0
    spaces between a name and its colon                     mended: left out (RFC 9112, 5.1)
    CR, VT or FF inside a value or a reason phrase          mended: a space (RFC 9110, 5.5)
    ``Transfer-Encoding: chunked`` twice                    mended: once
    ``Transfer-Encoding: identity``                         mended: left out
    ``Transfer-Encoding: gzip, chunked``                    mended: chunked, and the gzip is undone
                                                            as a Content-Encoding is
    a line without a colon, with no name, or with a name    skipped, with the lines that continue it
    that is none
    a folded line before the first field                    skipped (RFC 9112, 2.2)
    a skipped line that speaks of Transfer-Encoding or      refused
    Content-Length
    any other Transfer-Encoding                             refused
    a Content-Length that is no number, or two that differ  refused
    NUL anywhere                                            refused (RFC 9110, 5.5)
    any other status line                                   refused

Two rules keep this from opening the door to response splitting and smuggling. Nothing that frames
the body is ever guessed: what is mended means one thing only, and h11 judges the result again.
And a connection whose reply was mended is not used again, so whatever two readers may disagree
about ends with this reply.
"""

import re

_HEAD_END = re.compile(rb"\n\r?\n")
_EMPTY_LINES = re.compile(rb"(?:\r?\n)+")
_STATUS_LINE = re.compile(
    rb"[ \t]*(?:HTTP/(?P<major>\d)(?:\.(?P<minor>\d))?|ICY)[ \t]+"
    rb"(?P<code>[1-9]\d\d)(?!\d)(?P<reason>.*)",
    re.IGNORECASE | re.DOTALL,
)
_TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_BLANKS = re.compile(rb"[\r\v\f]")
_FRAMING = re.compile(rb"transfer[-_ \t]*encoding|content[-_ \t]*length", re.IGNORECASE)
# Transfer codings that are also content codings, and can be undone as such.
_CODINGS = frozenset({b"gzip", b"x-gzip", b"deflate"})

Fields = list[tuple[bytes, bytes]]


class BadHead(Exception):
    """The head cannot be mended without guessing; the text says why."""


def mend(received: bytes) -> bytes:
    """``received`` with its complete heads mended, up to the first that is final.

    What follows the heads is left as it is. Raises :class:`BadHead`.
    """
    mended = b""
    while True:
        if blank := _EMPTY_LINES.match(received):
            received = received[blank.end() :]
        end = _HEAD_END.search(received)
        if end is None:
            return mended + received
        code, head = _mend_head(received[: end.start()])
        mended, received = mended + head, received[end.end() :]
        if code >= 200 or code == 101:
            return mended + received


def may_be_head(received: bytes) -> bool:
    """Whether these bytes, which are not all of it yet, can begin a head: we need not wait."""
    begun = received[:64].lstrip(b"\r\n \t").upper()
    return any(begun.startswith(name[: len(begun)]) for name in (b"HTTP/", b"ICY"))


def _mend_head(head: bytes) -> tuple[int, bytes]:
    if b"\0" in head:
        raise BadHead("a NUL in the head")
    first, *lines = (line.removesuffix(b"\r") for line in head.split(b"\n"))
    code, status_line = _mend_status_line(first)
    fields = _mend_coding(_mend_fields(lines))
    mended = [status_line, *(name + b": " + value for name, value in fields)]
    return code, b"\r\n".join(mended) + b"\r\n\r\n"


def _mend_status_line(line: bytes) -> tuple[int, bytes]:
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadHead(f"illegal status line: {line[:100]!r}")
    new_enough = match["major"] == b"1" and match["minor"] not in (None, b"0")
    version = b"HTTP/1.1" if new_enough else b"HTTP/1.0"
    reason = _BLANKS.sub(b" ", match["reason"]).strip()
    return int(match["code"]), b" ".join([version, match["code"], reason])


def _mend_fields(lines: list[bytes]) -> Fields:
    fields: Fields = []
    skipping = True  # what a continuation before the first field continues
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if skipping:
                _skip(line)
            else:
                name, value = fields[-1]
                fields[-1] = name, (value + b" " + _value(line)).strip()
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip()
        skipping = not colon or _TOKEN.fullmatch(name) is None
        if skipping:
            _skip(line)
        else:
            fields.append((name, _value(value)))
    return fields


def _value(text: bytes) -> bytes:
    return _BLANKS.sub(b" ", text).strip()


def _skip(line: bytes) -> None:
    if _FRAMING.search(line):
        raise BadHead(f"a line about the length of the body that is no field: {line[:100]!r}")


def _mend_coding(fields: Fields) -> Fields:
    """``fields`` with a Transfer-Encoding that h11 knows: chunked, or none."""
    codings = [
        coding.strip().lower()
        for name, value in fields
        if name.lower() == b"transfer-encoding"
        for coding in value.split(b",")
    ]
    if codings in ([], [b"chunked"]):
        return fields
    rest = [field for field in fields if field[0].lower() != b"transfer-encoding"]
    meant = [coding for coding in codings if coding not in (b"identity", b"")]
    if not meant:
        return rest
    inner = [coding for coding in meant if coding != b"chunked"]
    if meant[: len(inner)] != inner or len(meant) == len(inner) or not _CODINGS.issuperset(inner):
        raise BadHead(f"Transfer-Encoding: {b', '.join(codings).decode('latin-1')}")
    rest.append((b"Transfer-Encoding", b"chunked"))
    rest.extend((b"Content-Encoding", coding) for coding in inner)
    return rest
