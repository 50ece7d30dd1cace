"""A crawl as an SQLite database: a table of pages, a table of their links.

    select type, count(*), avg(size) from pages group by type;
    select url, count(*) from links group by url order by 2 desc limit 20;
    select source_url, parsed_url from found;

Pages are numbered as they are written, so what a killed crawl wrote and did not commit to its state
are the pages with the highest numbers.

While the crawl goes on others may read. SQLite then keeps what is newest in two files beside this
one (``-wal`` and ``-shm``); they are gone when the crawl is over.
"""

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from crawler.frontier.reasons import retold
from crawler.http.trace import STEPS

from .records import Block, Record

T = TypeVar("T")

# Seconds to wait for others who use the file.
_PATIENCE = 5.0

TABLES = f"""
create table if not exists pages (
    id integer primary key,
    url text not null,
    depth integer not null,
    time real not null,             -- when work on it began, in seconds since 1970
    status integer,
    final_url text not null,
    redirects text not null,        -- a JSON array
    type text not null,
    charset text not null,
    size integer not null,          -- in bytes, as it was sent
    decoded_size integer not null,
    seconds real not null,          -- in all, and for each phase:
    {" real, ".join(STEPS)} real,
    flags text not null,            -- a JSON array
    error text not null,
    detail text not null
);
create index if not exists pages_by_url on pages (url);
create table if not exists links (
    page integer not null references pages (id),
    position integer not null,      -- the first link of a page is 0
    url text not null,
    primary key (page, position)
) without rowid;
create view if not exists found as
    select pages.url as source_url, links.url as parsed_url
    from links join pages on pages.id = links.page;
"""
_COLUMNS = 15 + len(STEPS)
_ADD_PAGE = f"insert into pages values ({', '.join('?' * _COLUMNS)})"
_ADD_LINK = "insert into links values (?, ?, ?)"


class Database:
    """A :class:`.target.Target` in an SQLite file; ``written`` is the number of its last page."""

    def __init__(self, path: Path | int) -> None:
        if isinstance(path, int):
            raise OSError("an SQLite database must be a file that can be named, not a pipe")
        self.path = path
        self.patient = True
        self.written = 0
        self._database: sqlite3.Connection

    async def open(self, *, append: bool, journaled: bool = False) -> None:
        """Open it; see :class:`.target.Target`."""
        await self._in_thread(lambda: self._open(append or journaled))

    async def go_on_at(self, end: int) -> None:
        """Drop the pages after this one; see :class:`.target.Target`."""
        await self._in_thread(lambda: self._go_on_at(end))

    async def write(self, blocks: Sequence[Block]) -> None:
        """Add pages, in one transaction; see :class:`.target.Target`."""
        await self._in_thread(lambda: self._write(blocks))

    async def close(self) -> None:
        """Close it; see :class:`.target.Target`."""
        await self._in_thread(self._close)

    async def _in_thread(self, do: Callable[[], T]) -> T:
        def doing() -> T:
            try:
                return do()
            except sqlite3.Error as error:
                raise retold(f"cannot write {self.path}", error) from error

        return await asyncio.get_running_loop().run_in_executor(None, doing)

    def _open(self, append: bool) -> None:
        if not append:
            self._remove_former()
        self._database = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE
        )
        try:
            self._prepare()
            self.written = self._last_page()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        """Make the tables, unless there are any.

        Workers open the file at one time. To change the way in which a file is written SQLite needs
        it alone, and of two that want this one is refused at once, without the patience that it
        has elsewhere.
        """
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                self._database.execute("pragma journal_mode = wal")
                self._database.execute("pragma synchronous = normal")
                self._database.executescript(f"begin immediate;{TABLES}commit;")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > give_up:
                    raise
            time.sleep(0.005)

    def _close(self) -> None:
        try:
            # From here on it is one file, also for those who cannot write beside it. If somebody
            # else has it open, that is for them to do; their reading is not waited for.
            self._database.execute("pragma busy_timeout = 0")
            self._database.execute("pragma journal_mode = delete")
        except sqlite3.OperationalError:
            pass
        finally:
            self._database.close()

    def _remove_former(self) -> None:
        """Make an empty file of what was there, in its place: it may be linked to."""
        for ending in ("-wal", "-shm", "-journal"):
            Path(f"{self.path}{ending}").unlink(missing_ok=True)
        with self.path.open("wb"):
            pass

    def _last_page(self) -> int:
        number: int
        (number,) = self._database.execute("select coalesce(max(id), 0) from pages").fetchone()
        return number

    def _go_on_at(self, end: int) -> None:
        last = self._last_page()
        if last < end:
            text = f"{self.path} has {last:,} pages, and the state says {end:,}"
            raise OSError(f"{text}: it is not what the crawl wrote")
        if last > end:
            execute = self._database.execute
            execute("begin immediate")
            execute("delete from links where page > ?", (end,))
            execute("delete from pages where id > ?", (end,))
            execute("commit")
        self.written = end

    def _write(self, blocks: Sequence[Block]) -> None:
        database = self._database
        first = self.written + 1
        records = [block.record for block in blocks]
        database.execute("begin immediate")
        try:
            rows = (_row(number, record) for number, record in enumerate(records, first))
            database.executemany(_ADD_PAGE, rows)
            database.executemany(_ADD_LINK, _links(records, first))
        except BaseException:
            database.execute("rollback")
            raise
        database.execute("commit")
        self.written += len(records)


def check(path: Path) -> None:
    """Raise OSError if the file is none that one can add pages to; an empty one is."""
    if not path.stat().st_size:
        return
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            tables = database.execute("select count(*) from sqlite_master").fetchone()[0]
            columns = database.execute("select count(*) from pragma_table_info('pages')").fetchone()
    except sqlite3.Error as error:
        raise retold(f"cannot add to {path}", error) from error
    if tables and columns != (_COLUMNS,):
        raise OSError(f"cannot add to {path}: it is a database of something else")


def _row(number: int, record: Record) -> tuple[object, ...]:
    return (
        number,
        _text(record.url),
        record.depth,
        record.time,
        record.status,
        _text(record.final_url),
        json.dumps(record.redirects),
        _text(record.type),
        record.charset,
        record.size,
        record.decoded_size,
        record.seconds,
        *map(record.timings.get, STEPS),
        json.dumps(record.flags),
        record.error,
        _text(record.detail),
    )


def _links(records: Sequence[Record], first: int) -> Iterator[tuple[int, int, str]]:
    for number, record in enumerate(records, first):
        for position, url in enumerate(record.links):
            yield number, position, _text(url)


def _text(text: str) -> str:
    """What SQLite takes: half a surrogate pair is no text."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
