"""The tables of a crawl's state in SQLite, and what each step of a store does to them.

A `Tables` works on one connection and knows no file, lock or thread: each method is called within a
transaction that `SQLiteStore` has begun, in whatever thread.

The trap: SQLite lets Python's other threads run in each step of a statement, and the thread that
works on a transaction then waits for its turn while others wait for the file. So what comes in many
rows goes in as one JSON text, and each transaction is a dozen statements, however many links there
are.

A page is found by its *mark*, a number that is made of its URL. An index of numbers is a fifth of
one of URLs: with a million of them it stays in memory, and a new URL changes one small page of it.
As two URLs may have one mark, it is always the two together that are looked for.
"""

import hashlib
import json
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from .hosts import host_of
from .store import SHARE, Claimed, Done, Fenced, Page, Rules

# Raised when the tables change.
VERSION = 3
# Of how many hosts the share of a worker is reckoned; it needs no more to be busy.
_COUNTED_HOSTS = 1_000
_WAITING, _CLAIMED, _DONE = range(3)
# The depth at which the list counts as long as it is being read.
LIST = -1

TABLES = """
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
    id integer primary key,
    mark integer not null,
    url text not null,
    host integer not null,
    source text not null,      -- the line of the list, or ''
    depth integer not null,
    redirects integer not null,
    state integer not null     -- 0 waiting, 1 claimed, 2 done
);
create index marked_pages on pages (mark);
-- SQLite uses these for queries that say the same in as many words, and for no others.
create index waiting_pages on pages (host, depth) where state = 0;
create index claimed_pages on pages (host) where state = 1;
create table kept (            -- the links of pages that are done and may turn out to be nearer
    depth integer not null,
    page integer not null,
    step integer not null,
    links blob not null,
    primary key (depth, page)
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
create index held_hosts_with_work on hosts (owner) where owner is not null and waiting > 0;
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
    mark integer, url text, host text, depth integer, redirects integer, source text, place text,
    primary key (mark, url)
) without rowid
"""
# A row of it.
_Found = tuple[int, str, str, int, int, str, str]


class Tables:
    """The steps of a store, on a connection: see `Store` for what each means.

    ``lease`` says after how many seconds of silence a worker is taken for dead.
    """

    def __init__(self, database: sqlite3.Connection, rules: Rules, lease: float) -> None:
        self._database = database
        self._rules = rules
        self._lease = lease
        database.execute(_FOUND)

    # ---- workers and hosts -----------------------------------------------------------------------

    def join(self) -> int:
        """The number of a new worker."""
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
            self.bury(other)

    def bury(self, worker: int) -> None:
        """Free the hosts of a worker that is gone, and forget it."""
        execute = self._database.execute
        held = execute("select id from hosts where owner = ?", (worker,)).fetchall()
        for (host,) in held:
            self._free(host)
        execute("delete from workers where id = ?", (worker,))

    def release(self, worker: int, hosts: Mapping[str, float]) -> None:
        """Take hosts back from a worker; each rests for so many seconds."""
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

    def claim(self, worker: int, most: int, full: frozenset[str], more: bool) -> Claimed:
        """Hand out pages, of hosts that the worker holds and then of free ones."""
        execute, now = self._database.execute, time.time()
        self._hear(worker, now)
        pages: list[Page] = []
        # Of each there is at least one, so there is no need to look at more of them.
        query = "select id, name, named from hosts where owner = ? and waiting > 0 limit ?"
        for host in execute(query, (worker, max(0, most) + len(full))).fetchall():
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
        query = """select id, url, source, depth, redirects from pages
                   where host = ? and state = 0 order by depth limit ?"""
        number, _, named = host
        rows = execute(query, (number, min(most, SHARE))).fetchall()
        self._set_state(_CLAIMED, [row[0] for row in rows])
        execute("update hosts set waiting = waiting - ? where id = ?", (len(rows), number))
        return [Page._make((*row[1:], named)) for row in rows]

    def _set_state(self, state: int, pages: Iterable[int]) -> None:
        text = "update pages set state = ? where id in (select value from json_each(?))"
        self._database.execute(text, (state, json.dumps(list(pages))))

    def _least(self) -> tuple[int, int]:
        """The least depth of a page that is not done, and how many are not."""
        query = "select min(depth), total(open) from levels where open > 0"
        least, left = self._database.execute(query).fetchone()
        (listed,) = self._database.execute("select listed from crawl").fetchone()
        if not listed:
            return LIST, int(left)
        return self._rules.depth + 1 if least is None else int(least), int(left)

    # ---- commit ----------------------------------------------------------------------------------

    def commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        """Note what pages came to, what they led to, and how long the output is now.

        Raises Fenced, before anything is changed, if the worker does not hold a page.
        """
        execute, now = self._database.execute, time.time()
        self._hear(worker, now)
        query = """select p.url, p.id, p.depth, p.host
                   from json_each(?) j
                   cross join pages p on p.mark = json_extract(j.value, '$[0]')
                       and p.url = json_extract(j.value, '$[1]')
                   cross join hosts h on h.id = p.host
                   where p.state = 1 and h.owner = ?"""
        urls = [(mark_of(page.url), page.url) for page in done if page.url]
        rows = execute(query, (json.dumps(urls), worker)).fetchall()
        found = {url: _Claim(*row) for url, *row in rows}
        if len(found) != len(urls):
            raise Fenced(f"worker {worker} no longer holds what it has fetched")
        self._close(done, found)
        reached: list[tuple[str, int, int]] = []
        for page in done:
            depth = found[page.url].depth if page.url else 0
            reached += [(link, depth + page.step, page.redirects) for link in page.links]
            if page.moved:
                self._move(page.moved, depth)
            if page.rest:
                self._rest(found[page.url].host, now + page.rest)
        self._reach(reached)
        execute(
            """update hosts set owner = null
               where id in (select value from json_each(?)) and open = 0""",
            (json.dumps(list({claim.host for claim in found.values()})),),
        )
        self._forget()
        execute("update crawl set written = ?", (written,))
        self._database.executemany(
            "insert into counts values (?, ?) on conflict (name) do update set n = n + excluded.n",
            counts.items(),
        )

    def _close(self, done: Sequence[Done], found: Mapping[str, "_Claim"]) -> None:
        """Note pages as done, and keep the links of those that may turn out to be nearer."""
        execute = self._database.execute
        least, _ = self._least()
        kept = []
        for page in done:
            if page.url and (claim := found[page.url]).depth > least:
                links = zlib.compress("\n".join(page.links).encode(), 1)
                kept.append((claim.depth, claim.page, page.step, links))
        self._database.executemany("insert or replace into kept values (?, ?, ?, ?)", kept)
        claims = found.values()
        self._set_state(_DONE, [claim.page for claim in claims])
        self._count_levels({depth: -n for depth, n in _counted(each.depth for each in claims)})
        for host, n in _counted(each.host for each in claims):
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
        mark = mark_of(url)
        self._database.execute(
            """insert into pages (mark, url, host, source, depth, redirects, state)
               select ?, ?, id, '', ?, 0, 2 from hosts where name = ?
               and not exists (select 1 from pages where mark = ? and url = ?)""",
            (mark, url, depth, host, mark, url),
        )

    def _reach(self, reached: list[tuple[str, int, int]]) -> None:
        """Add what is new, and lower what is nearer than was thought, with all that follows."""
        execute, place = self._database.execute, self._rules.place
        while reached:
            self._put(
                _found(url, depth, redirects, place=place)
                for url, depth, redirects in reached
                if depth <= self._rules.depth
            )
            if place is not None:
                execute("delete from found where place not in (select place from begun)")
            execute(
                """delete from found where exists
                   (select 1 from pages p where p.mark = found.mark and p.url = found.url
                    and p.depth <= found.depth)"""
            )
            reached = self._lower()
            self._add_found()

    def _put(self, found: Iterable[_Found]) -> None:
        """Put URLs on the table of what was found, each by its shortest way.

        Of several that are as short, the first counts.
        """
        execute = self._database.execute
        execute("delete from found")
        execute(
            """insert into found
               select json_extract(value, '$[0]'), json_extract(value, '$[1]'),
                      json_extract(value, '$[2]'), json_extract(value, '$[3]'),
                      json_extract(value, '$[4]'), json_extract(value, '$[5]'),
                      json_extract(value, '$[6]')
               from json_each(?) where true
               on conflict (mark, url) do update
               set depth = excluded.depth, redirects = excluded.redirects
               where excluded.depth < depth""",
            (json.dumps(list(found)),),
        )

    def _lower(self) -> list[tuple[str, int, int]]:
        """Lower the known ones; returns what they lead to, if they are done."""
        execute = self._database.execute
        query = """select f.mark, f.url, f.depth, p.id, p.depth, p.state
                   from found f cross join pages p on p.mark = f.mark and p.url = f.url"""
        reached: list[tuple[str, int, int]] = []
        levels: Counter[int] = Counter()
        for mark, url, depth, page, before, state in execute(query).fetchall():
            execute("delete from found where mark = ? and url = ?", (mark, url))
            execute("update pages set depth = ? where id = ?", (depth, page))
            if state != _DONE:
                levels[before] -= 1
                levels[depth] += 1
                continue
            key = (before, page)
            query = "select step, links from kept where depth = ? and page = ?"
            kept = execute(query, key).fetchone()
            if kept is not None:
                step, links = kept
                execute("update kept set depth = ? where depth = ? and page = ?", (depth, *key))
                text = zlib.decompress(links).decode()
                reached += [(link, depth + step, 0) for link in text.split("\n") if link]
        self._count_levels(levels)
        return reached

    def add(self, listed: Sequence[tuple[str, str]]) -> None:
        """Take URLs of the list, each with its line."""
        execute, place = self._database.execute, self._rules.place
        rows = [_found(url, 0, 0, source) for url, source in listed]
        hosts = list({row[2] for row in rows})
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
               (select 1 from pages p where p.mark = found.mark and p.url = found.url
                and p.depth = 0)"""
        )
        reached = self._lower()
        self._add_found()
        self._reach(reached)

    def _add_found(self) -> None:
        """Add what is left on the table, which is new."""
        execute = self._database.execute
        self._bound()
        query = "select host, depth, count(*) from found group by host, depth"
        new = execute(query).fetchall()
        if not new:
            return
        self._know_hosts({host for host, _, _ in new})
        execute(
            """insert into pages (mark, url, host, source, depth, redirects, state)
               select f.mark, f.url, h.id, f.source, f.depth, f.redirects, 0
               from found f join hosts h on h.name = f.host"""
        )
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
        query = "select mark, url, host from found order by depth"
        for mark, url, host in execute(query).fetchall():
            if host not in counts:
                row = execute("select pages from hosts where name = ?", (host,)).fetchone()
                counts[host] = 0 if row is None else row[0]
            if (rules.max_pages is not None and pages >= rules.max_pages) or (
                rules.max_per_host is not None and counts[host] >= rules.max_per_host
            ):
                execute("delete from found where mark = ? and url = ?", (mark, url))
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


class _Claim(NamedTuple):
    """A page that a worker is done with, as the tables have it."""

    page: int
    depth: int
    host: int


def mark_of(url: str) -> int:
    """The number by which a URL is found: 64 bits of its hash, with a sign."""
    return int.from_bytes(hashlib.blake2b(url.encode(), digest_size=8).digest(), signed=True)


def _found(
    url: str,
    depth: int,
    redirects: int,
    source: str = "",
    place: Callable[[str], str] | None = None,
) -> _Found:
    host = host_of(url)
    where = "" if place is None else place(host)
    return mark_of(url), url, host, depth, redirects, source, where


def _counted(values: Iterable[int]) -> list[tuple[int, int]]:
    return list(Counter(values).items())
