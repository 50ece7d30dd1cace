"""The write buffer: what was written and did not fit, in pieces, until there is room.

The pieces are kept as they came, and sent as many at once as the kernel takes (`sendmsg`,
`writev`): joining them would copy each byte once more.

The trap: whoever writes a bytearray may change it afterwards. Bytes cannot be changed, so a view of
them is enough; of everything else a copy is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = ["BYTES_LIKE", "WriteBuffer", "as_piece", "refusal"]

# What a transport's `write` takes. A tuple made once: `bytes | bytearray` in a call of isinstance
# makes an object each time.
BYTES_LIKE = (bytes, bytearray, memoryview)

# The most pieces that one system call takes.
try:
    MOST_PIECES = min(os.sysconf("SC_IOV_MAX"), 1024)
except (ValueError, OSError):
    MOST_PIECES = 16  # the least that POSIX allows


class WriteBuffer:
    """Pieces that wait to be sent."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        # A list: an empty deque takes 0.6 KiB, and most connections never have anything to keep.
        self._pieces: list[memoryview] = []
        self.size = 0  # in bytes; 0 if and only if there are no pieces

    def add(self, data: Any) -> None:
        """Keep `data`, a bytes-like object, until it is sent."""
        self.add_piece(as_piece(data))

    def add_piece(self, piece: memoryview) -> None:
        """Keep what `as_piece` has made."""
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)

    def flush(
        self,
        write: Callable[[memoryview], int],
        write_many: Callable[[list[memoryview]], int],
    ) -> None:
        """Send as much as one call takes: of `write`, or for several pieces of `write_many`.

        What they raise is passed on, and nothing is lost by it.
        """
        pieces = self._pieces
        sent = write(pieces[0]) if len(pieces) == 1 else write_many(pieces[:MOST_PIECES])
        self.size -= sent
        whole = 0  # how many pieces were sent to their ends
        for piece in pieces:
            if sent < len(piece):
                break
            sent -= len(piece)
            whole += 1
        del pieces[:whole]
        if sent:
            pieces[0] = pieces[0][sent:]

    def clear(self) -> None:
        """Forget all of it."""
        self._pieces.clear()
        self.size = 0


def as_piece(data: Any) -> memoryview:
    """The bytes of `data`, which nobody can change any more. Raises TypeError for what has none."""
    piece = memoryview(data).cast("B")
    return piece if isinstance(piece.obj, bytes) else memoryview(bytes(piece))


def refusal(data: object) -> TypeError:
    """What to raise for something that is not BYTES_LIKE."""
    return TypeError(
        "data argument must be a bytes-like object (bytes, bytearray or memoryview), "
        f"not {type(data).__name__!r}"
    )
