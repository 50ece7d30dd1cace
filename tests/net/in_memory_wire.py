"""Two transports joined in memory, between which a test carries the bytes by hand.

What takes chance on a real network (where a record is cut, who is held up, what is said while a
message is on its way) is here what the test says it is.
"""

from __future__ import annotations

import asyncio
from typing import Any


class End(asyncio.Transport):
    """One end. `sends` has what was written to it, one entry for each write."""

    def __init__(self, high: int = 64 * 1024) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol: Any = None
        self._high = high
        self.peer: End
        self.sends: list[bytes] = []
        self.unsent = bytearray()
        self.paused = False
        self.full = False
        self.closing = False
        self.eof_told = False

    def attach(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data
        if self.closing:
            return  # as a socket's transport does
        self.sends.append(bytes(data))
        self.unsent += data
        if len(self.unsent) > self._high and not self.full:
            self.full = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def is_closing(self) -> bool:
        return self.closing

    def is_reading(self) -> bool:
        return not self.paused

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self._lose_when_sent()

    def abort(self) -> None:
        self.unsent.clear()
        self.closing = True
        self._lose_when_sent()

    def _lose_when_sent(self) -> None:
        if self.closing and not self.unsent and self._protocol is not None:
            protocol, self._protocol = self._protocol, None
            self._loop.call_soon(protocol.connection_lost, None)

    def carry(self, count: int) -> int:
        """Take up to `count` bytes to the peer; if there are none left, the end of them."""
        peer = self.peer
        if peer.closing:
            self._take(len(self.unsent))  # into the void, as a kernel does for a while
            return 0
        if peer.paused:
            return 0
        if not self.unsent:
            if self.closing and not peer.eof_told:
                peer.eof_told = True
                if not peer._protocol.eof_received():
                    peer.close()
            return 0
        buffer = memoryview(peer._protocol.get_buffer(-1))
        count = min(count, len(self.unsent), len(buffer))
        buffer[:count] = self.unsent[:count]
        peer._protocol.buffer_updated(count)
        self._take(count)
        return count

    def _take(self, count: int) -> None:
        del self.unsent[:count]
        if self.full and len(self.unsent) <= self._high // 4:
            self.full = False
            if self._protocol is not None:
                self._protocol.resume_writing()
        self._lose_when_sent()


def wire(high: int = 64 * 1024) -> tuple[End, End]:
    """Both ends of a wire that has room for `high` bytes in each direction."""
    one, other = End(high), End(high)
    one.peer, other.peer = other, one
    return one, other
