"""From the bytes of a list to its lines, whatever wrote it.

Lists come from editors and shells of all systems: in UTF-8 with a byte order mark or without, in
the UTF-16 of PowerShell's ``>``, with line ends of every kind.
"""

import codecs
import re

# Longer than any URL that servers take; a list without line ends must not fill the memory.
MAX_LINE = 32 * 1024

# UTF-32 before UTF-16, as its mark begins with the other's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    # Without a mark: no list in UTF-8 has a zero in its first two bytes.
    (b"h\0", "utf-16-le"),
    (b"#\0", "utf-16-le"),
    (b"\0h", "utf-16-be"),
    (b"\0#", "utf-16-be"),
)
_REAL_MARKS = frozenset(mark for mark, _ in _MARKS[:5])
_LONGEST_MARK = 4
# CR LF, LF, CR, NEL, LINE SEPARATOR, PARAGRAPH SEPARATOR; but NEL is a byte of other characters
# too, so they are looked for only where one of them may be.
_END = re.compile(rb"\r\n?|\n|\xc2\x85|\xe2\x80[\xa8\xa9]")
_RARE = (b"\r", b"\xc2\x85", b"\xe2\x80")


class Lines:
    """Splits what it is fed into numbered lines in UTF-8, without their ends.

    Of a line that is longer than `MAX_LINE` the beginning is given, which is longer than that, and
    the rest is dropped.
    """

    def __init__(self) -> None:
        self._number = 0
        self._partial = b""
        self._head: bytes | None = b""  # not enough to know the encoding by
        self._decoder: codecs.IncrementalDecoder | None = None
        self._skipping = False

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The lines that ``data`` completes; empty data means the end of the list."""
        ended = not data
        if self._head is not None:
            self._head += data
            if len(self._head) < _LONGEST_MARK and not ended:
                return []
            data = self._begin(self._head)
        if self._decoder is not None:
            data = self._decoder.decode(data, final=ended).encode("utf-8", "replace")
        *lines, self._partial = _split(self._partial + data)
        if ended and self._partial:
            lines.append(self._partial)
            self._partial = b""
        found = []
        for line in lines:
            if self._skipping:
                self._skipping = False
                continue
            self._number += 1
            found.append((self._number, line))
        if len(self._partial) > MAX_LINE:
            if not self._skipping:
                self._number += 1
                found.append((self._number, self._partial))
            self._skipping = True
            self._partial = b""
        return found

    def _begin(self, head: bytes) -> bytes:
        """Find out the encoding; returns what follows the mark."""
        self._head = None
        for mark, codec in _MARKS:
            if head.startswith(mark):
                if codec != "utf-8":
                    self._decoder = codecs.getincrementaldecoder(codec)("replace")
                return head[len(mark) :] if mark in _REAL_MARKS else head
        return head


def _split(data: bytes) -> list[bytes]:
    if not any(end in data for end in _RARE):
        return data.split(b"\n")
    # A CR at the end may be half of CR LF: it is left for the next time.
    whole = data[:-1] if data.endswith(b"\r") else data
    lines = _END.split(whole)
    lines[-1] += data[len(whole) :]
    return lines
