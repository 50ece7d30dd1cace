"""The user's list of URLs, read as it is needed.

The list may be longer than memory: at any time one chunk of it is held. Reading goes through
aiofiles, so a list that comes from a pipe does not stop the loop.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

from .lines import Lines
from .parsing import Job, Malformed, parse_line

CHUNK = 64 * 1024


class URLList:
    """A file of URLs, or a sequence of them; ``async with`` it, and :meth:`read` on."""

    def __init__(
        self, urls: Path | Sequence[str], on_malformed: Callable[[Malformed], None]
    ) -> None:
        self._urls = urls
        self._on_malformed = on_malformed
        self._file: AsyncFileIO | None = None
        self._lines = Lines()
        self.exhausted = False

    async def __aenter__(self) -> "URLList":
        if isinstance(self._urls, Path):
            self._file = await aiofiles.open(self._urls, "rb", buffering=0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            await self._file.close()

    async def read(self) -> list[Job]:
        """Some more of the URLs, perhaps none; at the end ``exhausted`` is true."""
        if self._file is not None:
            chunk = await self._file.read(CHUNK)
            self.exhausted = not chunk
            return self._jobs(self._lines.feed(chunk))
        self.exhausted = True
        assert not isinstance(self._urls, Path)
        return self._jobs(
            [(n, url.encode("utf-8", "surrogateescape")) for n, url in enumerate(self._urls, 1)]
        )

    def _jobs(self, lines: list[tuple[int, bytes]]) -> list[Job]:
        jobs = []
        for number, line in lines:
            job = parse_line(line, number)
            if isinstance(job, Job):
                jobs.append(job)
            elif job is not None:
                self._on_malformed(job)
        return jobs


def count_urls(urls: Path | Sequence[str]) -> int | None:
    """About how many URLs a regular file lists, for the progress bar; None for a pipe."""
    if not isinstance(urls, Path):
        return len(urls)
    if not urls.is_file():
        return None
    lines, count = Lines(), 0
    with urls.open("rb") as file:
        while True:
            chunk = file.read(CHUNK)
            for _, line in lines.feed(chunk):
                line = line.strip()
                count += bool(line) and not line.startswith(b"#")
            if not chunk:
                return count
