"""The URLs still to fetch, read from the list as they are needed.

The list may be longer than memory: at any time one chunk of it is held. Reading goes through
aiofiles, so a list that comes from a pipe does not stop the loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

from .lines import Lines
from .parsing import Job, Malformed, parse_line

CHUNK = 64 * 1024


class Frontier:
    """Hands out the URLs of a list, one :meth:`next` at a time, to any number of workers."""

    def __init__(self, path: Path, on_malformed: Callable[[Malformed], None]) -> None:
        self._path = path
        self._on_malformed = on_malformed
        self._file: AsyncFileIO | None = None
        self._jobs: deque[Job] = deque()
        self._lines = Lines()
        self._exhausted = False
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> "Frontier":
        self._file = await aiofiles.open(self._path, "rb", buffering=0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            await self._file.close()

    async def next(self) -> Job | None:
        """The next URL, or None when the list has no more."""
        while not self._jobs:
            if self._exhausted:
                return None
            async with self._reading:
                # Whoever had to wait for the lock may find that the reading has been done.
                if not self._jobs and not self._exhausted:
                    await self._read_chunk()
        return self._jobs.popleft()

    async def _read_chunk(self) -> None:
        assert self._file is not None
        chunk = await self._file.read(CHUNK)
        self._exhausted = not chunk
        for number, line in self._lines.feed(chunk):
            job = parse_line(line, number)
            if isinstance(job, Job):
                self._jobs.append(job)
            elif job is not None:
                self._on_malformed(job)


def count_urls(path: Path) -> int | None:
    """About how many URLs a regular file lists, for the progress bar; None for a pipe."""
    if not path.is_file():
        return None
    lines, count = Lines(), 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK)
            for _, line in lines.feed(chunk):
                line = line.strip()
                count += bool(line) and not line.startswith(b"#")
            if not chunk:
                return count
