"""The store in a file: SQLite, written ahead (WAL), for the processes of one machine.

The kernel has what a transaction wrote before the next begins, so the end of a process, however it
comes, takes nothing back. The end of the machine may take the last transactions, and never half of
one (``synchronous=NORMAL``); the output may then be shorter than the state says, which is told.

The trap: SQLite lets Python's other threads run in each step of a statement, and the thread that
works on a transaction then waits for its turn while others wait for the file. So what comes in many
rows goes in as one JSON text, and each transaction is a dozen statements, however many links there
are.
"""

import asyncio
import contextlib
import json
import math
import os
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from .hosts import host_of
from .reasons import retold
from .store import SHARE, Claimed, Done, Fenced, Page, Rules

P = ParamSpec("P")
T = TypeVar("T")

# Raised when the tables change.
VERSION = 2
# Seconds to wait for another process's transaction; each takes milliseconds.
_PATIENCE = 20.0
# What each process keeps of the file in memory; SQLite's own 2 MiB are little for a million URLs.
CACHE_KIB = 16 * 1024
# Of how many hosts the share of a worker is reckoned; it needs no more to be busy.
_COUNTED_HOSTS = 1_000
_WAITING, _CLAIMED, _DONE = range(3)
# The depth at which the list counts as long as it is being read.
_LIST = -1

_TABLES = """
create table crawl (
    version integer not null,
    output text not null,      -- the file, and how much of it is committed
    written integer not null,
    terms text not null,       -- what the crawl is of
    listed integer not null,   -- whether the list has been read to its end
    pages integer not null,    -- how many URLs count against the most that may be asked for
    least integer not null     -- the least depth of a page that is not done, as it was last
);
create table pages (
    url text primary key,
    host integer not null,
    source text not null,      -- the line of the list, or ''
    depth integer not null,
    redirects integer not null,
    state integer not null     -- 0 waiting, 1 claimed, 2 done
) without rowid;
-- SQLite uses these for queries that say the same in as many words, and for no others.
create index waiting_pages on pages (host, depth) where state = 0;
create index claimed_pages on pages (host) where state = 1;
create table kept (            -- the links of pages that are done and may turn out to be nearer
    depth integer not null,
    url text not null,
    step integer not null,
    links blob not null,
    primary key (depth, url)
) without rowid;
create table levels (depth integer primary key, open integer not null);
create table hosts (
    id integer primary key,
    name text not null unique,
    pages integer not null default 0,    -- known ones, and those of them that are not done
    open integer not null default 0,
    waiting integer not null default 0,
    owner integer,
    ready_at real not null default 0,    -- on the clock of the system
    named integer not null default 0
);
create index free_hosts on hosts (ready_at) where owner is null and waiting > 0;
create index held_hosts on hosts (owner) where owner is not null;
create index open_hosts on hosts (id) where open > 0;
create table begun (place text primary key) without rowid;
create table workers (
    id integer primary key autoincrement,
    until real not null,
    hungry integer not null default 0
);
create table counts (name text primary key, n integer not null) without rowid;
"""
_FOUND = """
create temp table found (
    url text primary key, host text, depth integer, redirects integer, place text
) without rowid
"""


class SQLiteStore:
    """A crawl's state in the file ``path``; ``with`` it, in the process that begins the crawl.

    ``output`` is what the crawl writes: a state belongs to one, and to a crawl of certain
    ``terms``, which are text. Without ``resume`` the file must not be there yet; with it, it may
    be. Other processes have a copy, by ``fork``, which they :meth:`reopen`. They are on one
    machine, where it is known who has died; else ``lease`` says after how many seconds of silence.
    """

    def __init__(
        self,
        path: Path,
        output: Path,
        *,
        resume: bool,
        terms: str = "",
        rules: Rules | None = None,
        lease: float = math.inf,
    ) -> None:
        self._path = path
        self._output = str(output.absolute())
        self._resume = resume
        self._terms = terms
        self._rules = rules or Rules()
        self._lease = lease
        self._database: sqlite3.Connection
        self._reader: sqlite3.Connection
        self._guard: int | None = None
        self._turn: asyncio.Lock | None = None
        self.is_new = False

    def __enter__(self) -> "SQLiteStore":
        if self._path.exists() and not self._path.is_file():
            raise OSError(f"cannot use {self._path} as a state: it is no file")
        new = not self._path.exists() or self._path.stat().st_size == 0
        if not new and not self._resume:
            text = "if it holds a crawl, go on with it by --resume; else name another file"
            raise OSError(f"{self._path} is there already: {text}")
        with contextlib.ExitStack() as stack:
            self._keep_others_out()
            stack.callback(self.close)
            try:
                self.reopen()
                self._begin()
            except sqlite3.Error as error:
                raise retold(f"cannot use {self._path} as a state", error) from error
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; somebody else may have the crawl then."""
        self.shut()
        # After the database: to close any descriptor of a file drops all of a process's locks.
        if self._guard is not None:
            os.close(self._guard)
            self._guard = None

    def disown(self) -> None:
        """Forget, in a process that was forked, what the first one has."""
        if self._guard is not None:
            os.close(self._guard)
            self._guard = None

    def reopen(self) -> None:
        """Have connections of this process; those from before must be closed, or not used."""
        self._reader = self._connect()
        # Transactions run in a thread of the executor, one at a time.
        self._database = self._connect(check_same_thread=False)
        self._database.execute(_FOUND)

    def shut(self) -> None:
        """Close the connections before a fork; SQLite's may not be carried into another process."""
        for name in ("_database", "_reader"):
            with contextlib.suppress(AttributeError):
                getattr(self, name).close()

    def _connect(self, *, check_same_thread: bool = True) -> sqlite3.Connection:
        database = sqlite3.connect(
            self._path,
            isolation_level=None,
            check_same_thread=check_same_thread,
            timeout=_PATIENCE,
        )
        try:
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = normal")
            database.execute("pragma temp_store = memory")
            database.execute(f"pragma cache_size = -{CACHE_KIB}")
        except BaseException:
            database.close()
            raise
        return database

    def _keep_others_out(self) -> None:
        """A lock that no database connection takes, so that workers may share the file."""
        import fcntl  # POSIX only, as the rest of the crawler need not be

        try:
            self._guard = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OSError(f"cannot use {self._path} as a state: {error.strerror}") from error
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._guard)
            self._guard = None
            raise OSError(f"{self._path} is in use by another crawler") from error

    def _begin(self) -> None:
        execute = self._database.execute
        with self._transaction():
            self.is_new = not execute("select 1 from sqlite_master where name = 'crawl'").fetchall()
            if self.is_new:
                if execute("select 1 from sqlite_master").fetchone():
                    raise OSError(f"{self._path} is a database of something else, no state")
                for statement in _TABLES.split(";"):
                    execute(statement)
                execute(
                    "insert into crawl values (?, ?, 0, ?, 0, 0, ?)",
                    (VERSION, self._output, self._terms, _LIST),
                )
            (version,) = execute("select version from crawl").fetchone()
            if version != VERSION:
                raise OSError(f"{self._path} was written by another version of the crawler")
            output, terms = execute("select output, terms from crawl").fetchone()
            if output != self._output:
                raise OSError(f"{self._path} belongs to the output {output}, not {self._output}")
            if terms != self._terms:
                text = f"{self._path} holds a crawl with {terms}, not with {self._terms}"
                raise OSError(f"{text}: what it left out before would stay left out")
            # Whoever worked on it is no more. Its list is read again, as it may have grown.
            for (worker,) in execute("select id from workers").fetchall():
                self._bury(worker)
            execute("update crawl set listed = 0")

    # ---- the interface, see Store ----------------------------------------------------------------

    async def add(self, listed: Sequence[tuple[str, str]]) -> None:
        """Take URLs of the list, each with its line."""
        await self._run(self._add, listed)

    async def end_list(self) -> None:
        """Note that there are no more of them."""
        await self._run(lambda: self._database.execute("update crawl set listed = 1"))

    async def join(self) -> int:
        """The number of a new worker."""
        return await self._run(self._join)

    async def claim(
        self, worker: int, most: int, full: Sequence[str] = (), *, more: bool = True
    ) -> Claimed:
        """Up to ``most`` pages, of hosts that are held and of free ones."""
        return await self._run(self._claim, worker, most, frozenset(full), more)

    async def commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        """Make all of this so, or nothing."""
        await self._run(self._commit, worker, done, written, counts)

    async def release(self, worker: int, hosts: Mapping[str, float]) -> None:
        """Give hosts back."""
        await self._run(self._release, worker, hosts)

    async def leave(self, worker: int) -> None:
        """Give everything back."""
        await self._run(self._bury, worker)

    async def written(self, worker: int) -> int:
        """How long the output was at the last commit."""
        # No transaction, and no thread: what was committed can be read while others write.
        (written,) = self._reader.execute("select written from crawl").fetchone()
        return int(written)

    async def counted(self) -> dict[str, int]:
        """What all commits have counted."""
        return await self._run(lambda: dict(self._database.execute("select name, n from counts")))

    async def _run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one transaction, in a thread."""

        def transact() -> T:
            try:
                with self._transaction():
                    return step(*args, **kwargs)
            except sqlite3.Error as error:
                raise retold(f"cannot use the state {self._path}", error) from error

        async def in_turn() -> T:
            if self._turn is None:
                self._turn = asyncio.Lock()
            async with self._turn:
                return await asyncio.get_running_loop().run_in_executor(None, transact)

        # Shielded: what has been written to the output is to be in the state, whoever gives up.
        return await asyncio.shield(in_turn())

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        execute = self._database.execute
        execute("begin immediate")
        try:
            yield
        except BaseException:
            if self._database.in_transaction:
                execute("rollback")
            raise
        execute("commit")

    # ---- workers and hosts -----------------------------------------------------------------------

    def _join(self) -> int:
        until = time.time() + self._lease
        worker = self._database.execute("insert into workers (until) values (?)", (until,))
        assert worker.lastrowid is not None
        return worker.lastrowid

    def _hear(self, worker: int, now: float) -> None:
        """Note that a worker lives, and that others do not."""
        execute = self._database.execute
        heard = execute(
            "update workers set until = ? where id = ?", (now + self._lease, worker)
        ).rowcount
        if not heard:
            raise Fenced(f"worker {worker} was not heard of for {self._lease:g} s")
        for (other,) in execute("select id from workers where until < ?", (now,)).fetchall():
            self._bury(other)

    def _bury(self, worker: int) -> None:
        execute = self._database.execute
        held = execute("select id from hosts where owner = ?", (worker,)).fetchall()
        for (host,) in held:
            self._free(host)
        execute("delete from workers where id = ?", (worker,))

    def _release(self, worker: int, hosts: Mapping[str, float]) -> None:
        execute, now = self._database.execute, time.time()
        for name, rest in hosts.items():
            query = "select id from hosts where name = ? and owner = ?"
            for (host,) in execute(query, (name, worker)).fetchall():
                self._rest(host, now + rest)
                self._free(host)

    def _free(self, host: int) -> None:
        execute = self._database.execute
        execute("update pages set state = 0 where host = ? and state = 1", (host,))
        execute("update hosts set owner = null, waiting = open where id = ?", (host,))

    def _rest(self, host: int, until: float) -> None:
        text = "update hosts set ready_at = max(ready_at, ?) where id = ?"
        self._database.execute(text, (until, host))

    # ---- claim -----------------------------------------------------------------------------------

    def _claim(self, worker: int, most: int, full: frozenset[str], more: bool) -> Claimed:
        execute, now = self._database.execute, time.time()
        self._hear(worker, now)
        pages: list[Page] = []
        query = "select id, name, named from hosts where owner = ? and waiting > 0"
        for host in execute(query, (worker,)).fetchall():
            if host[1] not in full and len(pages) < most:
                pages += self._take(host, most - len(pages))
        room = self._room(worker)
        if more and len(pages) < most and room > 0:
            query = """select id, name, named from hosts where owner is null and waiting > 0
                       and ready_at <= ? order by ready_at, id limit ?"""
            for host in execute(query, (now, min(room, most - len(pages)))).fetchall():
                if len(pages) < most:
                    execute("update hosts set owner = ? where id = ?", (worker, host[0]))
                    pages += self._take(host, most - len(pages))
        give = 0
        query = "select 1 from workers where hungry and id <> ?"
        if room < 0 and execute(query, (worker,)).fetchone():
            give = -room
        hungry = more and not pages
        execute("update workers set hungry = ? where id = ?", (hungry, worker))
        least, left = self._least()
        (listed,) = execute("select listed from crawl").fetchone()
        return Claimed(pages, least, over=bool(listed) and not left, give=give)

    def _room(self, worker: int) -> int:
        """How many hosts more a worker may hold: nobody has more than a share of them."""
        execute = self._database.execute
        query = "select count(*) from (select 1 from hosts where open > 0 limit ?)"
        (busy,) = execute(query, (_COUNTED_HOSTS,)).fetchone()
        if busy == _COUNTED_HOSTS:
            return _COUNTED_HOSTS
        (living,) = execute("select count(*) from workers").fetchone()
        query = "select count(*) from hosts where owner = ? and open > 0"
        (held,) = execute(query, (worker,)).fetchone()
        return -(-int(busy) // int(living)) - int(held)

    def _take(self, host: tuple[int, str, int], most: int) -> list[Page]:
        execute = self._database.execute
        query = """select url, source, depth, redirects, ? from pages
                   where host = ? and state = 0 order by depth limit ?"""
        number, _, named = host
        pages = list(map(Page._make, execute(query, (named, number, min(most, SHARE)))))
        execute(
            "update pages set state = 1 where url in (select value from json_each(?))",
            (json.dumps([page.url for page in pages]),),
        )
        execute("update hosts set waiting = waiting - ? where id = ?", (len(pages), number))
        return pages

    def _least(self) -> tuple[int, int]:
        """The least depth of a page that is not done, and how many are not."""
        query = "select min(depth), total(open) from levels where open > 0"
        least, left = self._database.execute(query).fetchone()
        (listed,) = self._database.execute("select listed from crawl").fetchone()
        if not listed:
            return _LIST, int(left)
        return self._rules.depth + 1 if least is None else int(least), int(left)

    # ---- commit ----------------------------------------------------------------------------------

    def _commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        execute, now = self._database.execute, time.time()
        self._hear(worker, now)
        query = """select p.url, p.depth, h.id, h.owner = ? and p.state = 1
                   from json_each(?) j join pages p on p.url = j.value join hosts h on h.id = p.host
                   """
        urls = [page.url for page in done if page.url]
        rows = execute(query, (worker, json.dumps(urls))).fetchall()
        found = {url: (depth, host) for url, depth, host, ours in rows if ours}
        if len(found) != len(urls):
            raise Fenced(f"worker {worker} no longer holds what it has fetched")
        self._close(done, found)
        reached: list[tuple[str, int, int]] = []
        for page in done:
            depth = found[page.url][0] if page.url else 0
            reached += [(link, depth + page.step, page.redirects) for link in page.links]
            if page.moved:
                self._move(page.moved, depth)
            if page.rest:
                self._rest(found[page.url][1], now + page.rest)
        self._reach(reached)
        ended = "update hosts set owner = null where owner = ? and open = 0"
        execute(ended, (worker,))
        self._forget()
        execute("update crawl set written = ?", (written,))
        self._database.executemany(
            "insert into counts values (?, ?) on conflict (name) do update set n = n + excluded.n",
            counts.items(),
        )

    def _close(self, done: Sequence[Done], found: Mapping[str, tuple[int, int]]) -> None:
        """Note pages as done, and keep the links of those that may turn out to be nearer."""
        execute = self._database.execute
        least, _ = self._least()
        kept = []
        for page in done:
            if page.url and (depth := found[page.url][0]) > least:
                links = zlib.compress("\n".join(page.links).encode(), 1)
                kept.append((depth, page.url, page.step, links))
        self._database.executemany("insert or replace into kept values (?, ?, ?, ?)", kept)
        execute(
            "update pages set state = 2 where url in (select value from json_each(?))",
            (json.dumps(list(found)),),
        )
        self._count_levels({depth: -n for depth, n in _counted(d for d, _ in found.values())})
        for host, n in _counted(host for _, host in found.values()):
            execute("update hosts set open = open - ? where id = ?", (n, host))

    def _forget(self) -> None:
        """Drop the links that can no longer matter."""
        least, _ = self._least()
        (before,) = self._database.execute("select least from crawl").fetchone()
        if least > before:
            self._database.execute("delete from kept where depth <= ?", (least,))
            self._database.execute("update crawl set least = ?", (least,))

    def _move(self, url: str, depth: int) -> None:
        """Note a URL that need not be fetched; where it is the crawl belongs, too."""
        host = host_of(url)
        if self._rules.place is not None:
            text = "insert or ignore into begun values (?)"
            self._database.execute(text, (self._rules.place(host),))
        self._know_hosts([host])
        self._database.execute(
            """insert or ignore into pages
               select ?, id, '', ?, 0, 2 from hosts where name = ?""",
            (url, depth, host),
        )

    def _reach(self, reached: list[tuple[str, int, int]]) -> None:
        """Add what is new, and lower what is nearer than was thought, with all that follows."""
        execute, place = self._database.execute, self._rules.place
        while reached:
            rows = [
                (url, host := host_of(url), depth, redirects, "" if place is None else place(host))
                for url, depth, redirects in reached
                if depth <= self._rules.depth
            ]
            self._put(rows)
            if place is not None:
                execute("delete from found where place not in (select place from begun)")
            execute(
                """delete from found where exists
                   (select 1 from pages p where p.url = found.url and p.depth <= found.depth)"""
            )
            reached = self._lower()
            self._add_found("")

    def _put(self, rows: list[tuple[str, str, int, int, str]]) -> None:
        """Put URLs on the table of what was found, each by its shortest way."""
        execute = self._database.execute
        execute("delete from found")
        execute(
            """insert into found
               select json_extract(value, '$[0]'), json_extract(value, '$[1]'),
                      json_extract(value, '$[2]'), json_extract(value, '$[3]'),
                      json_extract(value, '$[4]')
               from json_each(?) where true
               on conflict (url) do update
               set depth = excluded.depth, redirects = excluded.redirects
               where excluded.depth < depth""",
            (json.dumps(rows),),
        )

    def _lower(self) -> list[tuple[str, int, int]]:
        """Lower the known ones; returns what they lead to, if they are done."""
        execute = self._database.execute
        query = """select f.url, f.depth, p.depth, p.state
                   from found f join pages p on p.url = f.url"""
        reached: list[tuple[str, int, int]] = []
        levels: Counter[int] = Counter()
        for url, depth, before, state in execute(query).fetchall():
            execute("delete from found where url = ?", (url,))
            execute("update pages set depth = ? where url = ?", (depth, url))
            if state != _DONE:
                levels[before] -= 1
                levels[depth] += 1
                continue
            key = (before, url)
            query = "select step, links from kept where depth = ? and url = ?"
            kept = execute(query, key).fetchone()
            if kept is not None:
                step, links = kept
                execute("update kept set depth = ? where depth = ? and url = ?", (depth, *key))
                text = zlib.decompress(links).decode()
                reached += [(link, depth + step, 0) for link in text.split("\n") if link]
        self._count_levels(levels)
        return reached

    def _add(self, listed: Sequence[tuple[str, str]]) -> None:
        execute, place = self._database.execute, self._rules.place
        rows = [(url, host_of(url), 0, 0, "") for url, _ in listed]
        hosts = list({row[1] for row in rows})
        self._know_hosts(hosts)
        names = json.dumps(hosts)
        execute(
            "update hosts set named = 1 where name in (select value from json_each(?))", (names,)
        )
        if place is not None:
            places = json.dumps(list(map(place, hosts)))
            execute("insert or ignore into begun select value from json_each(?)", (places,))
        self._put(rows)
        execute(
            """delete from found where exists
               (select 1 from pages p where p.url = found.url and p.depth = 0)"""
        )
        reached = self._lower()
        # The first of two lines that name one page is its source.
        self._add_found(json.dumps(dict(reversed(listed))))
        self._reach(reached)

    def _add_found(self, sources: str) -> None:
        """Add what is left on the table, which is new."""
        execute = self._database.execute
        self._bound()
        query = "select host, depth, count(*) from found group by host, depth"
        new = execute(query).fetchall()
        if not new:
            return
        self._know_hosts({host for host, _, _ in new})
        source = "''"
        if sources:
            execute("create temp table lines (url text primary key, line text) without rowid")
            execute("insert into lines select key, value from json_each(?)", (sources,))
            source = "(select line from lines where lines.url = f.url)"
        execute(
            f"""insert into pages
                select f.url, h.id, {source}, f.depth, f.redirects, 0
                from found f join hosts h on h.name = f.host"""
        )
        if sources:
            execute("drop table lines")
        by_host: Counter[str] = Counter()
        levels: Counter[int] = Counter()
        for host, depth, n in new:
            by_host[host] += n
            levels[depth] += n
        self._database.executemany(
            """update hosts set pages = pages + ?, open = open + ?, waiting = waiting + ?
               where name = ?""",
            [(n, n, n, host) for host, n in by_host.items()],
        )
        self._count_levels(levels)
        execute("update crawl set pages = pages + ?", (by_host.total(),))

    def _bound(self) -> None:
        """Take off the table what would be more than may be asked for."""
        rules, execute = self._rules, self._database.execute
        if rules.max_pages is None and rules.max_per_host is None:
            return
        (pages,) = execute("select pages from crawl").fetchone()
        counts: dict[str, int] = {}
        for url, host in execute("select url, host from found order by depth").fetchall():
            if host not in counts:
                row = execute("select pages from hosts where name = ?", (host,)).fetchone()
                counts[host] = 0 if row is None else row[0]
            if (rules.max_pages is not None and pages >= rules.max_pages) or (
                rules.max_per_host is not None and counts[host] >= rules.max_per_host
            ):
                execute("delete from found where url = ?", (url,))
                continue
            counts[host] += 1
            pages += 1

    def _know_hosts(self, names: Iterable[str]) -> None:
        text = "insert or ignore into hosts (name) select value from json_each(?)"
        self._database.execute(text, (json.dumps(list(names)),))

    def _count_levels(self, changes: Mapping[int, int]) -> None:
        self._database.executemany(
            """insert into levels values (?, ?)
               on conflict (depth) do update set open = open + excluded.open""",
            changes.items(),
        )


def _counted(values: Iterable[int]) -> list[tuple[int, int]]:
    return list(Counter(values).items())
