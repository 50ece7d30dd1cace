"""The journal in a file: SQLite, written ahead (WAL), one transaction for each write of the output.

The kernel has what a transaction wrote before the next begins, so the end of the process, however
it comes, takes nothing back. The end of the machine may take the last transactions, and never half
of one (``synchronous=NORMAL``); the output may then be shorter than the state says, which is told.
"""

import asyncio
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from .journal import Entry, Note

# Raised when the tables change.
VERSION = 1

_TABLES = """
create table crawl (
    version integer not null,
    output text not null,     -- the file, and how much of it is committed
    written integer not null,
    terms text not null       -- what the crawl is of
);
create table pages (
    url text primary key,
    source text not null,     -- the line of the list, or ''
    depth integer not null,
    done integer not null,
    kept blob                 -- what may still be needed of a page that is done
) without rowid;
"""
_ADD, _DONE, _CLOSED, _NEARER = range(4)
_SQL = {
    _ADD: "insert or ignore into pages (url, source, depth, done) values (?, ?, ?, 0)",
    _DONE: "update pages set done = 1, kept = ? where url = ?",
    _CLOSED: "insert or ignore into pages (url, source, depth, done) values (?, '', ?, 1)",
    _NEARER: "update pages set depth = ? where url = ?",
}


class State:
    """A crawl's state in the file ``path``; ``with`` it.

    ``output`` is what the crawl writes: a state belongs to one, and to a crawl of certain
    ``terms``, which are text. Without ``resume`` the file must not be there yet; with it, it may
    be.
    """

    def __init__(self, path: Path, output: Path, *, resume: bool, terms: str = "") -> None:
        self._path = path
        self._output = str(output.absolute())
        self._resume = resume
        self._terms = terms
        self._notes: list[Note] = []
        self._database: sqlite3.Connection
        self.written = 0

    def __enter__(self) -> "State":
        new = not self._path.exists() or self._path.stat().st_size == 0
        if not new and not self._resume:
            raise OSError(f"{self._path} holds a crawl: go on with it by --resume, or remove it")
        try:
            # Commits run in a thread of the executor, one at a time.
            self._database = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=0.5
            )
            try:
                self._open()
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            raise OSError(f"cannot use {self._path} as a state: {error}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()

    def _open(self) -> None:
        execute = self._database.execute
        execute("pragma locking_mode = exclusive")  # a second crawler is told to stay away
        execute("pragma journal_mode = wal")
        execute("pragma synchronous = normal")
        execute("begin immediate")
        if not execute("select 1 from sqlite_master where name = 'crawl'").fetchall():
            for statement in _TABLES.split(";"):
                execute(statement)
            execute("insert into crawl values (?, ?, 0, ?)", (VERSION, self._output, self._terms))
        version, output, self.written, terms = execute("select * from crawl").fetchone()
        execute("commit")
        if version != VERSION:
            raise OSError(f"{self._path} was written by another version of the crawler")
        if output != self._output:
            raise OSError(f"{self._path} belongs to the output {output}, not {self._output}")
        if terms != self._terms:
            text = f"{self._path} holds a crawl with {terms}, not with {self._terms}"
            raise OSError(f"{text}: what it left out before would stay left out")

    @property
    def pending(self) -> bool:
        """Whether there is anything to be committed."""
        return bool(self._notes)

    def pages(self) -> Iterator[Entry]:
        """All that was committed: what is to be fetched first, the least deep before the others."""
        rows = self._database.execute(
            "select url, source, depth, done, kept from pages order by done, depth"
        )
        return map(Entry._make, rows)

    def add(self, url: str, source: str, depth: int) -> None:
        """Note a URL that is to be fetched."""
        self._notes.append(Note(_ADD, (url, source, depth)))

    def done(self, url: str, kept: bytes | None) -> None:
        """Note that it has been, or cannot be."""
        self._notes.append(Note(_DONE, (kept, url)))

    def closed(self, url: str, depth: int) -> None:
        """Note a URL that need not be fetched."""
        self._notes.append(Note(_CLOSED, (url, depth)))

    def nearer(self, url: str, depth: int) -> None:
        """Note that a URL is less deep than was thought."""
        self._notes.append(Note(_NEARER, (depth, url)))

    def take(self) -> Sequence[Note]:
        """What has been noted since the last call."""
        notes, self._notes = self._notes, []
        return notes

    async def commit(self, notes: Sequence[Note], written: int) -> None:
        """Make all of this so, or nothing; raises OSError if that cannot be done."""
        loop = asyncio.get_running_loop()
        # Shielded: what has been written to the output is to be in the state, whoever gives up.
        await asyncio.shield(loop.run_in_executor(None, self._commit, notes, written))

    def _commit(self, notes: Sequence[Note], written: int) -> None:
        database = self._database
        try:
            database.execute("begin immediate")
            for kind, group in itertools.groupby(notes, lambda note: note.kind):
                database.executemany(_SQL[kind], [note.values for note in group])
            database.execute("update crawl set written = ?", (written,))
            database.execute("commit")
        except sqlite3.Error as error:
            raise OSError(f"cannot write the state {self._path}: {error}") from error
        self.written = written
