"""What an application has written to a TLS connection and OpenSSL has not yet encrypted.

One `SSL_write` makes at least one record, and a record costs 22 bytes and about 2 µs however short
it is. So small pieces are joined until they fill records. Large ones are cut by views, not copied.

Invariants:

1. `size` is the number of bytes in the pieces.
2. A piece belongs to us: nobody else can change it. What is mutable is copied before the caller of
   `add` goes on; a large one, after what can be encrypted at once has been (`own`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["LARGEST_BATCH", "RECORD", "Outbox"]

# The most plaintext in one record (RFC 8446, section 5.1), in bytes.
RECORD = 16 * 1024

# Bytes that are encrypted before they are sent. More at once is not measurably faster, and the BIO
# in which they lie keeps its size for as long as the connection lives.
LARGEST_BATCH = 4 * RECORD


class Outbox:
    """A queue of pieces of plaintext."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: deque[Any] = deque()
        self.size = 0

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Queue `data`, as a copy if somebody else could change it."""
        piece = data if type(data) is bytes else bytes(data)
        self._pieces.append(piece)
        self.size += len(piece)

    def lend(self, data: bytes | bytearray | memoryview) -> None:
        """Queue `data` as it is. Its owner must not change it until `own` is called."""
        piece = memoryview(data).cast("B")
        self._pieces.append(piece)
        self.size += len(piece)

    def own(self) -> None:
        """Copy what is left of the piece that was lent last, and after which none was added."""
        if self._pieces:
            self._pieces[-1] = bytes(self._pieces[-1])

    def clear(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self.size = 0

    def encrypt(self, write: Callable[[Any], int]) -> None:
        """Pass up to LARGEST_BATCH bytes to `write`, which is `ssl.SSLObject.write`.

        What it raises passes through, and what it did not take stays in the queue: SSLWantReadError
        says that the peer must speak first, to finish a handshake that one of the two has begun.
        """
        pieces = self._pieces
        room = LARGEST_BATCH
        while pieces and room > 0:
            data: Any = pieces.popleft()
            if pieces and len(data) < RECORD:
                data = self._join(data)
            done = 0
            try:
                done = write(data if len(data) <= room else memoryview(data)[:room])
            finally:
                self.size -= done
                room -= done
                if done < len(data):
                    pieces.appendleft(memoryview(data)[done:] if done else data)

    def _join(self, first: Any) -> bytes:
        """Join `first` with the pieces after it, until they make up a batch."""
        pieces = self._pieces
        group = [first]
        length = len(first)
        while pieces and length + len(pieces[0]) <= LARGEST_BATCH:
            group.append(pieces.popleft())
            length += len(group[-1])
        return b"".join(group)
