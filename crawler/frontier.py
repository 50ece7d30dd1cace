"""The URLs still to fetch, read from the list as they are needed.

The list may be longer than memory: at any time one chunk of it is held. Reading goes through
aiofiles, so a list that comes from a pipe does not stop the loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

from .http import URL, InvalidURL

CHUNK = 64 * 1024
# Longer than any URL that servers take; a list without line ends must not fill the memory.
MAX_LINE = 32 * 1024


class Malformed(NamedTuple):
    """A line of the list that holds no URL: its number, from 1, its text, and why."""

    line: int
    text: str
    why: str


class Job(NamedTuple):
    """A URL to fetch: ``source`` as the list has it, and parsed."""

    source: str
    url: URL


class Frontier:
    """Hands out the URLs of a list, one :meth:`next` at a time, to any number of workers."""

    def __init__(self, path: Path, on_malformed: Callable[[Malformed], None]) -> None:
        self._path = path
        self._on_malformed = on_malformed
        self._file: AsyncFileIO | None = None
        self._jobs: deque[Job] = deque()
        self._partial = b""
        self._line = 0
        self._skipping = False
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
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        for line in lines:
            self._take(line)
        if not chunk:
            self._exhausted = True
            if self._partial:
                self._take(self._partial)
        elif len(self._partial) > MAX_LINE:
            self._take(self._partial)
            self._line -= 1  # the line goes on: what follows up to its end is part of it
            self._skipping = True
            self._partial = b""

    def _take(self, raw: bytes) -> None:
        self._line += 1
        if self._skipping:
            self._skipping = False
            return
        job = parse_line(raw, self._line)
        if isinstance(job, Job):
            self._jobs.append(job)
        elif job is not None:
            self._on_malformed(job)


def parse_line(raw: bytes, number: int) -> Job | Malformed | None:
    """What one line of the list says; None for a blank line or a comment."""
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    raw = raw.strip()
    if not raw or raw.startswith(b"#"):
        return None
    shown = raw[:200].decode("utf-8", "backslashreplace")
    if len(raw) > MAX_LINE:
        return Malformed(number, shown, f"longer than {MAX_LINE:,} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Malformed(number, shown, "not UTF-8")
    if " " in text or not text.isprintable():  # a space is the only blank that is printable
        return Malformed(number, shown, "a space or control character inside the URL")
    try:
        return Job(text, URL(text))
    except InvalidURL as error:
        return Malformed(number, shown, error.detail)


def count_urls(path: Path) -> int | None:
    """About how many URLs a regular file lists, for the progress bar; None for a pipe."""
    if not path.is_file():
        return None
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip() and not line.lstrip().startswith(b"#"))
