"""The file of a crawl: whole lines, written in whole pages.

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

With a *journal* (:mod:`crawler.frontier.journal`) each write is followed by a commit of what it was
about. The file is first cut back to where the last commit left it.
"""

import asyncio
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

from crawler.frontier.journal import Journal

HEADER = "source_url\tparsed_url\n"

# A write goes through a thread, which costs more than writing a page's few kilobytes: so lines
# gather until there are this many bytes or this many seconds have passed.
GATHER_BYTES = 64 * 1024
GATHER_SECONDS = 0.1
# With a journal each write is a commit as well, which is worth more pages.
GATHER_BYTES_TO_COMMIT = 256 * 1024
# The most that may be waiting for the disk before those who produce it have to wait as well.
HIGH_WATER = 1024 * 1024
# Seconds that a pipe gets to take the rest, once the crawl has been told to end.
LAST_WRITE = 0.5


class Output:
    """Use as ``async with Output(path) as output``; leaving the block writes all that was added.

    ``path`` may be an open file descriptor instead, which is written to from where it stands: what
    is there was not ours to begin with. ``append`` adds to a file as well. ``header`` begins a
    file. With a ``journal`` the output must be a file.
    """

    def __init__(
        self,
        path: Path | int,
        *,
        append: bool = False,
        header: str = HEADER,
        journal: Journal | None = None,
    ) -> None:
        self.path = path
        self._header = header.encode()
        self._journal = journal
        self._enough = GATHER_BYTES if journal is None else GATHER_BYTES_TO_COMMIT
        self._written = 0
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
            begun = self._patient and self._append and status.st_size > 0
            if self._journal is not None:
                if not self._patient:
                    text = f"the output of a crawl with a state must be a file, not {self.path}"
                    raise OSError(text)
                async with self._journal.turn() as end:
                    await self._go_on_at(end)
            else:
                if self._patient and not self._append:
                    await self._file.truncate(0)
                if not begun:
                    await self._write(self._header)
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
        await self.put(f"{source}\t{lines}\n".encode() if lines else b"")

    async def put(self, block: bytes) -> None:
        """Take whole lines; waits while the disk is behind. Raises OSError if it is full.

        With a journal there may be none: what has been noted is then committed.
        """
        if block:
            self._gathered.append(block)
            self._size += len(block)
        elif self._journal is None:
            return
        urgent = self._journal is not None and self._journal.urgent
        if self._size >= self._enough or urgent:
            self._wanted.set()
        elif self._linger is None:
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(GATHER_SECONDS, self._wanted.set)
        self._raise_if_ended()  # before waiting, for nobody would ever make room
        if self._size >= HIGH_WATER:
            self._room.clear()
            await self._room.wait()
            self._raise_if_ended()

    async def _go_on_at(self, end: int) -> None:
        """Drop what an earlier process wrote and did not commit, and begin the file if need be."""
        assert self._file is not None
        size = os.fstat(self._file.fileno()).st_size
        if size < end:
            text = f"{self.path} has {size:,} bytes, and the state says {end:,}"
            raise OSError(f"{text}: it is not what the crawl wrote")
        if size > end:
            await self._file.truncate(end)
        self._written = end
        if not end:
            await self._write(self._header)

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
                journal = self._journal
                if self._gathered or (journal is not None and journal.pending):
                    if journal is None:
                        await self._write(self._take())
                    else:
                        async with journal.turn() as end:
                            if journal.shared:
                                await self._go_on_at(end)
                            # What this is about, and nothing else, is in the same commit.
                            notes = journal.take()
                            await self._write(self._take())
                            await journal.commit(notes, self._written)
                    self._room.set()
                elif self._closing:
                    return
                if self._closing:
                    self._wanted.set()
        finally:
            self._room.set()

    def _take(self) -> bytes:
        data = b"".join(self._gathered)
        self._gathered, self._size = [], 0
        return data

    async def _write(self, data: bytes) -> None:
        assert self._file is not None
        self._written += len(data)
        view = memoryview(data)
        while view:  # once, unless the disk is full: then the second attempt says so
            view = view[await self._file.write(view) :]
