"""Flow control: telling a protocol to stop writing before memory runs out.

A transport accepts every byte that is written to it. If the peer reads slowly the bytes pile up,
and the protocol must be told. There are two marks: when more than `high` bytes wait, the protocol's
`pause_writing` is called, and once `low` or fewer are left, `resume_writing`. With a single mark, a
buffer that stays close to it would call back for each packet.

Source: the CPython documentation, "Flow control callbacks".
"""

from __future__ import annotations

import asyncio

from miniloop.kernel.contract import Loop
from miniloop.kernel.exits import EXITS, was_told

__all__ = ["LOST_WRITES_TOLERATED", "WriteMarks"]

HIGH_WATER = 64 * 1024  # bytes, unless the transport says otherwise

# Writes to a lost connection are dropped, as the peer would drop them. After this many the program
# is warned.
LOST_WRITES_TOLERATED = 5


class WriteMarks:
    """The high and low water marks of one transport's write buffer."""

    __slots__ = ("_loop", "_transport", "high", "low", "paused", "protocol")

    def __init__(
        self, loop: Loop, transport: asyncio.BaseTransport, protocol: asyncio.BaseProtocol
    ) -> None:
        self._loop = loop
        self._transport: asyncio.BaseTransport | None = transport
        # Whom to tell; a transport that is given another protocol, or loses it, must say so here.
        self.protocol: asyncio.BaseProtocol | None = protocol
        self.paused = False
        self.set(None, None)

    def set(self, high: int | None, low: int | None, default: int = HIGH_WATER) -> None:
        """Set the marks, in bytes.

        A missing `low` is a quarter of `high`, a missing `high` four times `low`, and `default` if
        both are missing.

        Raises ValueError unless 0 <= low <= high.
        """
        if high is None:
            high = default if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high = high
        self.low = low

    def forget(self) -> None:
        """The connection is lost: drop all references.

        A transport and its marks refer to each other. Only the garbage collector could free such a
        cycle.
        """
        self._transport = self.protocol = None

    def grown(self, size: int) -> None:
        """The buffer has grown to `size` bytes."""
        if size > self.high and not self.paused:
            try:
                self.paused = True
                self.protocol.pause_writing()  # type: ignore[union-attr]  # see `forget`
            except BaseException as exc:
                self._not_told(exc, "pause_writing")

    def shrunk(self, size: int) -> None:
        """The buffer has shrunk to `size` bytes."""
        if self.paused and size <= self.low:
            try:
                self.paused = False
                self.protocol.resume_writing()  # type: ignore[union-attr]
            except BaseException as exc:
                self._not_told(exc, "resume_writing")

    def _not_told(self, exc: BaseException, method: str) -> None:
        if isinstance(exc, EXITS):
            if not was_told(exc, self.protocol):
                self.paused = not self.paused  # it is told when there is more, or less
            raise exc
        self._loop.call_exception_handler(
            {
                "message": f"protocol.{method}() failed",
                "exception": exc,
                "transport": self._transport,
                "protocol": self.protocol,
            }
        )
