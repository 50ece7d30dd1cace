"""Undoing the chunked transfer coding (RFC 9112, section 7.1).

h11 could do it, at ten times the price, and without what servers send and every browser takes:

    what is odd                                  what is done
    a line that ends with LF alone               taken for a line end
    a CR alone within a line                     taken for a part of it
    blanks between a size and its extension      left out
    the connection ends after the last chunk     taken for the end of the trailer
    anything but hexadecimal digits as a size    refused, as are signs, ``0x`` and no digit at all
    data that is longer than its chunk           refused

A body in which something was odd is ``odd`` afterwards: then nothing that follows on its connection
is trusted.
"""

import re

# In bytes: the longest line with a chunk's size and extensions, and the longest trailer.
MAX_LINE = 4096
MAX_TRAILER = 64 * 1024

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\0]*)?")
_SIZE_STATE, _DATA_STATE, _AFTER_STATE, _TRAILER_STATE = range(4)


class BadChunk(Exception):
    """What should be a chunk is none; the text says why."""


class Chunks:
    """Decodes one body. ``ended`` is true after its last byte, and ``rest`` what came after it."""

    __slots__ = ("_left", "_state", "_trailer", "ended", "odd", "rest")

    def __init__(self) -> None:
        self._state: int = _SIZE_STATE
        self._left = 0
        self._trailer = 0
        self.rest = b""
        self.odd = False
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """The content of what has come; raises :class:`BadChunk`."""
        if self.rest:
            data = self.rest + data
        content: list[bytes] = []
        at = 0
        while not self.ended:
            if self._state == _DATA_STATE:
                piece = data[at : at + self._left]
                content.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._state = _AFTER_STATE
            end = data.find(b"\n", at, at + MAX_LINE)
            if end < 0:
                self._check_line_so_far(data, at)
                break
            line = data[at:end]
            at = end + 1
            if line.endswith(b"\r"):
                line = line[:-1]
            else:
                self.odd = True
            if b"\r" in line:
                self.odd = True
            self._take_line(line)
        self.rest = data[at:]
        return content[0] if len(content) == 1 else b"".join(content)

    def end(self) -> bool:
        """Say that the connection has ended; true if the body had, but for its trailer's end."""
        return self.ended or self._state == _TRAILER_STATE

    def _check_line_so_far(self, data: bytes, at: int) -> None:
        if len(data) - at >= MAX_LINE:
            raise BadChunk(f"a line of more than {MAX_LINE:,} bytes among the chunks")
        if self._state == _AFTER_STATE and data[at : at + 2] not in (b"", b"\r"):
            raise BadChunk("a chunk is longer than its size")

    def _take_line(self, line: bytes) -> None:
        if self._state == _SIZE_STATE:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise BadChunk(f"illegal chunk size: {line[:100]!r}")
            self._left = int(match[1], 16)
            self._state = _DATA_STATE if self._left else _TRAILER_STATE
        elif self._state == _AFTER_STATE:
            if line:
                raise BadChunk("a chunk is longer than its size")
            self._state = _SIZE_STATE
        elif line:
            self._trailer += len(line)
            if self._trailer > MAX_TRAILER:
                raise BadChunk(f"a trailer of more than {MAX_TRAILER:,} bytes")
        else:
            self.ended = True
