"""A protocol that writes down what it is told."""

from __future__ import annotations

import asyncio
from typing import Any


class Recorder(asyncio.Protocol):
    """`calls` has the name of every call but `data_received`; `data` has all the data.

    Its parts can be awaited: `lost`, a future, has the argument of `connection_lost`.
    """

    transport: Any

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.calls: list[str] = []
        self.data = bytearray()
        self.lost: asyncio.Future[BaseException | None] = loop.create_future()
        self.eof: asyncio.Future[None] = loop.create_future()
        self.full = False
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.calls.append("connection_made")

    def data_received(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        assert data, "there is never nothing to tell of"
        assert "eof_received" not in self.calls
        assert "connection_lost" not in self.calls
        self.data += data
        self._changed.set()

    def eof_received(self) -> bool | None:
        self.calls.append("eof_received")
        self.eof.set_result(None)
        return None

    def pause_writing(self) -> None:
        assert not self.full
        self.full = True
        self.calls.append("pause_writing")
        self._changed.set()

    def resume_writing(self) -> None:
        assert self.full
        self.full = False
        self.calls.append("resume_writing")
        self._changed.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("connection_lost")
        self.lost.set_result(exc)
        self._changed.set()

    async def received(self, count: int) -> bytes:
        """The data, once there are so many bytes of them."""
        while len(self.data) < count:
            assert not self.lost.done(), f"lost after {len(self.data)} of {count} bytes"
            await self._change()
        return bytes(self.data)

    async def room(self) -> None:
        """Until the transport may be written to."""
        while self.full:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class BufferedRecorder(Recorder, asyncio.BufferedProtocol):
    """The same, with a buffer of its own of `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        # Not the bytearray itself: into that, asyncio's TLS reads only the first record.
        self.buffer = memoryview(bytearray(size))

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= len(self.buffer)
        super().data_received(bytes(self.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        raise AssertionError("a BufferedProtocol is not told data in this way")
