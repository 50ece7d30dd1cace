"""The file of found links: tab-separated, in whole lines.

Pages hand over their lines without waiting for the disk. One task writes what has gathered, in one
``write`` that begins and ends at a line boundary, into a file opened for appending and without a
buffer of our own. So at any moment the file holds whole pages: if the process is killed, what is
missing is what had not been handed to the kernel, at most a tenth of a second's worth.

The trap: SIGKILL may come while the kernel copies one such write, which is microseconds long, or as
long as the disk holds it up. Linux then finishes the memory page that it is at and no more. So a
last line without its end is possible after a kill, where the file is a whole number of pages long,
and nowhere else: a line that lies on two pages is two copies, in whatever pieces one writes. Ctrl-C
and SIGTERM are not kills: they end the crawl, and all that was found is written.

When pages come faster than the disk takes them, handing over waits: memory is bounded.

What the lines go to need not be a file. A pipe, a terminal or ``/dev/null`` cannot be truncated,
and a pipe whose reader is slow holds up the last write for as long as it likes: when the crawl was
told to end, half a second is all that such an output gets.
"""

import asyncio
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

HEADER = "source_url\tparsed_url\n"

# A write goes through a thread, which costs more than writing a page's few kilobytes: so lines
# gather until there are this many bytes or this many seconds have passed.
GATHER_BYTES = 64 * 1024
GATHER_SECONDS = 0.1
# The most that may be waiting for the disk before those who produce it have to wait as well.
HIGH_WATER = 1024 * 1024
# Seconds that a pipe gets to take the rest, once the crawl has been told to end.
LAST_WRITE = 0.5


class Output:
    """Use as ``async with Output(path) as output``; leaving the block writes all that was added.

    ``path`` may be an open file descriptor instead, which is written to from where it stands: what
    is there was not ours to begin with. ``append`` adds to a file as well.
    """

    def __init__(self, path: Path | int, *, append: bool = False) -> None:
        self.path = path
        self._append = append or isinstance(path, int)
        self._patient = True
        self._file: AsyncFileIO | None = None
        self._gathered: list[bytes] = []
        self._size = 0
        self._wanted = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._linger: asyncio.TimerHandle | None = None
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Output":
        if isinstance(self.path, int):
            self._file = await aiofiles.open(os.dup(self.path), "wb", buffering=0)
        else:
            self._file = await aiofiles.open(self.path, "ab", buffering=0)
        try:
            status = os.fstat(self._file.fileno())
            self._patient = stat.S_ISREG(status.st_mode)
            if self._patient and not self._append:
                await self._file.truncate(0)
            if not (self._patient and self._append and status.st_size):
                await self._write(HEADER.encode())
        except BaseException:
            await self._file.close()
            raise
        self._writer = asyncio.create_task(self._write_gathered(), name="output writer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._file is not None
        assert self._writer is not None
        self._closing = True
        self._wanted.set()
        try:
            if kind is asyncio.CancelledError and not self._patient:
                done, _ = await asyncio.wait({self._writer}, timeout=LAST_WRITE)
                if done:
                    self._writer.result()  # raises what ended it
                self._writer.cancel()
            else:
                await self._writer
        finally:
            if self._linger is not None:
                self._linger.cancel()
            await self._file.close()

    async def add(self, source: str, links: Iterable[str]) -> None:
        """Take one page's links; waits while the disk is behind. Raises OSError if it is full."""
        separator = f"\n{source}\t"
        lines = separator.join(links)
        if not lines:
            return
        block = f"{source}\t{lines}\n".encode()
        self._gathered.append(block)
        self._size += len(block)
        if self._size >= GATHER_BYTES:
            self._wanted.set()
        elif self._linger is None:
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(GATHER_SECONDS, self._wanted.set)
        self._raise_if_ended()  # before waiting, for nobody would ever make room
        if self._size >= HIGH_WATER:
            self._room.clear()
            await self._room.wait()
            self._raise_if_ended()

    def _raise_if_ended(self) -> None:
        if self._writer is not None and self._writer.done():
            self._writer.result()  # raises what ended it

    async def _write_gathered(self) -> None:
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                if self._linger is not None:
                    self._linger.cancel()
                    self._linger = None
                if self._gathered:
                    blocks, self._gathered, self._size = self._gathered, [], 0
                    await self._write(b"".join(blocks))
                    self._room.set()
                elif self._closing:
                    return
                if self._closing:
                    self._wanted.set()
        finally:
            self._room.set()

    async def _write(self, data: bytes) -> None:
        assert self._file is not None
        view = memoryview(data)
        while view:  # once, unless the disk is full: then the second attempt says so
            view = view[await self._file.write(view) :]
