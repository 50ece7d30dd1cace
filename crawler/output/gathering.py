"""What a crawl writes: whole pages, in whole writes, and not one write a page.

Pages hand over what there is to write without waiting for the disk. One task gives what has
gathered to the *target* (a file, an archive, a database), whole pages each time. So at any moment
the target holds whole pages: if the process is killed, what is missing is what had not been handed
to the kernel, at most a tenth of a second's worth, or a quarter with a journal. Ctrl-C and SIGTERM
are not kills: they end the crawl, and all that was found is written.

When pages come faster than the disk takes them, handing over waits: memory is bounded.

With a *journal* (:mod:`crawler.frontier.journal`) each write is followed by a commit of what it was
about. The target is first cut back to where the last commit left it.
"""

import asyncio
from collections.abc import Iterable, Sized
from pathlib import Path
from types import TracebackType

from crawler.frontier.journal import Journal

from .formats import FORMATS, Format

# A write goes through a thread, which costs more than writing a page's few kilobytes: so lines
# gather until there are this many bytes or this many seconds have passed.
GATHER_BYTES = 64 * 1024
GATHER_SECONDS = 0.1
# With a journal each write is a commit as well, which is worth more pages and more time.
GATHER_BYTES_TO_COMMIT = 256 * 1024
GATHER_SECONDS_TO_COMMIT = 0.25
# The most that may be waiting for the disk before those who produce it have to wait as well.
HIGH_WATER = 1024 * 1024
# Seconds that a pipe gets to take the rest, once the crawl has been told to end.
LAST_WRITE = 0.5


class Output:
    """Use as ``async with Output(path) as output``; leaving the block writes all that was added.

    ``path`` may be an open file descriptor instead, which is written to from where it stands: what
    is there was not ours to begin with. ``append`` adds to a file as well. ``form`` is what is
    written. With a ``journal`` the output must be a file.
    """

    def __init__(
        self,
        path: Path | int,
        *,
        append: bool = False,
        form: Format = FORMATS["tsv"],
        journal: Journal | None = None,
    ) -> None:
        self.path = path
        self._journal = journal
        self._enough = GATHER_BYTES if journal is None else GATHER_BYTES_TO_COMMIT
        self._lingers = GATHER_SECONDS if journal is None else GATHER_SECONDS_TO_COMMIT
        self._append = append
        self._target = form.target(path)
        self._gathered: list[Sized] = []
        self._size = 0
        self._wanted = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._linger: asyncio.TimerHandle | None = None
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Output":
        journal = self._journal
        await self._target.open(append=self._append, journaled=journal is not None)
        if journal is not None:
            try:
                async with journal.turn() as end:
                    await self._target.go_on_at(end)
            except BaseException:
                await self._target.close()
                raise
        self._writer = asyncio.create_task(self._write_gathered(), name="output writer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._writer is not None
        self._closing = True
        self._wanted.set()
        try:
            if kind is asyncio.CancelledError and not self._target.patient:
                done, _ = await asyncio.wait({self._writer}, timeout=LAST_WRITE)
                if done:
                    self._writer.result()  # raises what ended it
                self._writer.cancel()
            else:
                await self._writer
        finally:
            if self._linger is not None:
                self._linger.cancel()
            await self._target.close()

    async def add(self, source: str, links: Iterable[str]) -> None:
        """Take one page's links; waits while the disk is behind. Raises OSError if it is full."""
        separator = f"\n{source}\t"
        lines = separator.join(links)
        await self.put(f"{source}\t{lines}\n".encode() if lines else b"")

    async def put(self, block: Sized) -> None:
        """Take what the format made of a page, as long as it is large in bytes.

        Waits while the disk is behind; raises OSError if it is full. With a journal the block may
        be empty: what has been noted is then committed.
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
            self._linger = loop.call_later(self._lingers, self._wanted.set)
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
                journal = self._journal
                if self._gathered or (journal is not None and journal.pending):
                    if journal is None:
                        await self._target.write(self._take())
                    else:
                        await self._write_and_commit(journal)
                    self._room.set()
                elif self._closing:
                    return
                if self._closing:
                    self._wanted.set()
        finally:
            self._room.set()

    async def _write_and_commit(self, journal: Journal) -> None:
        target = self._target
        async with journal.turn() as end:
            if journal.shared:  # whoever wrote there last may have died before the commit
                await target.go_on_at(end)
            # What these blocks are about, and nothing else, is in the same commit.
            notes = journal.take()
            await target.write(self._take())
            await journal.commit(notes, target.written)

    def _take(self) -> list[Sized]:
        blocks, self._gathered, self._size = self._gathered, [], 0
        return blocks
