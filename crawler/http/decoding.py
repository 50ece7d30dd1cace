"""Undoing Content-Encoding: gzip and deflate, piece by piece, with a limit on what comes out.

A few kilobytes of gzip can hold gigabytes of zeros, so the limit is passed down to zlib, which
stops there: what is over the limit is never produced.
"""

import zlib

# What a request may announce in Accept-Encoding, and all that `decoder` understands.
ACCEPTED = b"gzip, deflate"

# zlib's name for "expect a gzip header" and "expect no header at all" (zlib.h, inflateInit2).
_GZIP = zlib.MAX_WBITS | 16
_RAW = -zlib.MAX_WBITS


class Overflow(Exception):
    """The decoded body is larger than the limit."""


class Inflater:
    """Decodes one gzip or deflate body.

    A gzip body may consist of several members (RFC 1952, section 2.2). "deflate" means the zlib
    format (RFC 9110, section 8.4.1.2), yet some servers send the bare deflate stream: the first
    two bytes tell them apart.
    """

    __slots__ = ("_coding", "_empty", "_head", "_inflate", "_left")

    def __init__(self, coding: str, limit: int) -> None:
        self._coding = coding
        self._left = limit
        self._head = b""
        self._empty = True
        self._inflate = zlib.decompressobj(_GZIP) if coding == "gzip" else None

    def feed(self, data: bytes | bytearray) -> bytes:
        """Decode a piece; raises :class:`Overflow` past the limit and ``zlib.error`` on rubbish."""
        self._empty = False
        if self._inflate is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return b""
            self._inflate = zlib.decompressobj(_deflate_window(data))
        out = self._inflate.decompress(data, self._left + 1)
        while self._inflate.eof and len(out) <= self._left:
            rest = self._inflate.unused_data
            if self._coding != "gzip" or not rest.strip(b"\0"):
                break  # all done, or the padding that some servers add
            self._inflate = zlib.decompressobj(_GZIP)
            out += self._inflate.decompress(rest, self._left - len(out) + 1)
        self._left -= len(out)
        if self._left < 0:
            raise Overflow
        return out

    def finish(self) -> None:
        """Say that the body is over; raises ``zlib.error`` if the compressed stream is not."""
        if self._empty:
            return  # an empty body is an empty document, whatever its coding
        if self._inflate is None or not self._inflate.eof:
            raise zlib.error("the compressed stream ends too soon")


def decoder(content_encoding: str, limit: int) -> Inflater | None:
    """The decoder for a ``Content-Encoding`` value, or None where the body is sent as it is.

    ``limit`` is in bytes of decoded body. Raises ``ValueError`` for a coding that was not asked
    for.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip"):
        return Inflater("gzip", limit)
    if coding == "deflate":
        return Inflater("deflate", limit)
    raise ValueError(f"the content coding must be gzip or deflate, got {content_encoding!r}")


def _deflate_window(head: bytes | bytearray) -> int:
    """Tell the zlib format from a bare deflate stream by its header (RFC 1950, section 2.2)."""
    is_zlib = head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else _RAW
