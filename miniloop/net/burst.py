"""Bursts: how many items to take at once from a queue in the kernel.

Connections wait in the queue of a listening socket, datagrams in that of an endpoint. Under load
many wait at once, and taking one in each turn is slow. But each failed attempt has a price too:
"would block" is an exception, and costs more than reading a datagram. So we take as many as there
were the last time. After several full bursts we try twice as many, up to a limit. When a burst
finds fewer, that number is the new length.
"""

from __future__ import annotations

__all__ = ["Burst"]


class Burst:
    """The length of a burst, which follows from how full the bursts before it were.

    It begins at `length`. After `patience` bursts in a row that were full, the next is twice as
    long, but not longer than `longest`.
    """

    __slots__ = ("_full", "_longest", "_patience", "length")

    def __init__(self, patience: int, longest: int, length: int = 1) -> None:
        self.length = length
        self._full = 0  # how many bursts in a row were full
        self._patience = patience
        self._longest = longest

    def was_full(self) -> None:
        """A burst found as many as it asked for."""
        self._full += 1
        if self._full == self._patience:
            self._full = 0
            self.length = min(self.length * 2, self._longest)

    def fell_short(self, taken: int) -> None:
        """A burst found only `taken`."""
        self._full = 0
        self.length = taken or 1
