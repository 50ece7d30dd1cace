"""A file of lines, or of other blocks that follow each other.

Whole blocks go out in one ``write``, into a file opened for appending and without a buffer of our
own. The trap: SIGKILL may come while the kernel copies one such write, which is microseconds long,
or as long as the disk holds it up. Linux then finishes the memory page that it is at and no more.
So a last line without its end is possible after a kill, where the file is a whole number of pages
long, and nowhere else: a line that lies on two pages is two copies, in whatever pieces one writes.

What the lines go to need not be a file. A pipe, a terminal or ``/dev/null`` cannot be truncated,
and a pipe whose reader is slow holds up the last write for as long as it likes: when the crawl was
told to end, half a second is all that such an output gets.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

from crawler.frontier.reasons import retold


class File:
    """A :class:`.target.Target` for blocks of bytes; ``written`` is the file's length in bytes.

    ``header`` begins a file. ``path`` may be an open file descriptor.
    """

    def __init__(self, path: Path | int, header: bytes = b"") -> None:
        self.path = path
        self.patient = True
        self.written = 0
        self._header = header
        self._file: AsyncFileIO

    async def open(self, *, append: bool, journaled: bool = False) -> None:
        """Open it; see :class:`.target.Target`."""
        if isinstance(self.path, int):
            append = True
            self._file = await aiofiles.open(os.dup(self.path), "wb", buffering=0)
        else:
            self._file = await aiofiles.open(self.path, "ab", buffering=0)
        try:
            status = os.fstat(self._file.fileno())
            self.patient = stat.S_ISREG(status.st_mode)
            if journaled:
                if not self.patient:
                    text = f"the output of a crawl with a state must be a file, not {self.path}"
                    raise OSError(text)
                return
            begun = self.patient and append and status.st_size > 0
            if self.patient and not append:
                await self._cut(0)
            if not begun and self._header:
                await self.write([self._header])
        except BaseException:
            await self._file.close()
            raise

    async def go_on_at(self, end: int) -> None:
        """Cut it back to this length; see :class:`.target.Target`."""
        size = os.fstat(self._file.fileno()).st_size
        if size < end:
            text = f"{self.path} has {size:,} bytes, and the state says {end:,}"
            raise OSError(f"{text}: it is not what the crawl wrote")
        if size > end:
            await self._cut(end)
        self.written = end
        if not end and self._header:
            await self.write([self._header])

    async def write(self, blocks: Sequence[bytes]) -> None:
        """Write the blocks, one after the other; see :class:`.target.Target`."""
        data = b"".join(blocks)
        self.written += len(data)
        view = memoryview(data)
        while view:  # once, unless the disk is full: then the second attempt says so
            try:
                view = view[await self._file.write(view) :]
            except OSError as error:
                raise retold(f"cannot write {self._name}", error) from error

    async def close(self) -> None:
        """Close it; see :class:`.target.Target`."""
        try:
            await self._file.close()
        except OSError as error:  # of a file on a server, this may be where it comes out
            raise retold(f"cannot write {self._name}", error) from error

    async def _cut(self, end: int) -> None:
        try:
            await self._file.truncate(end)
        except OSError as error:
            raise retold(f"cannot shorten {self._name}", error) from error

    @property
    def _name(self) -> str:
        if self.path == 1:
            return "to standard output"
        return str(self.path) if isinstance(self.path, Path) else f"to descriptor {self.path}"
