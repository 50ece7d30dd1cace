"""The tables of a crawl's state in SQLite, and what each step of a store does to them.

A `Tables` works on one connection and knows no file, lock or thread: each method is called within a
transaction that `SQLiteStore` has begun, in whatever thread.

The trap: SQLite lets Python's other threads run in each step of a statement, and the thread that
works on a transaction then waits for its turn while others wait for the file. So what comes in many
rows goes in as one JSON text, and each transaction is a dozen statements, however many links there
are.

A page is found by its *mark*, 128 bits of a hash of its URL, and an index has the marks with the
depths: with a million of them it stays in memory, and for a link that is known the page itself is
not looked at. Nobody can make two URLs of one mark, and by chance it does not happen.

What is more than the rules let be asked for is *set aside*: it is known, and counts for nothing
until somebody goes on with a crawl and allows for more.
"""

import hashlib
import json
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from .hosts import host_of
from .sqlite_schema import FOUND
from .store import Claimed, Done, Fenced, Page, Rules, share_of

# Of how many hosts the share of a worker is reckoned; it needs no more to be busy.
_COUNTED_HOSTS = 1_000
# What is set aside is known, and more than may be asked for.
_WAITING, _CLAIMED, _DONE, _ASIDE = range(4)
# The depth at which the list counts as long as it is being read.
LIST = -1

# A way to a URL: the URL, its depth by that way, redirects, and its line of the list or "".
_Reached = tuple[str, int, int, str]
T = TypeVar("T")
H = TypeVar("H")


class Tables:
    """The steps of a store, on a connection: see `Store` for what each means.

    ``lease`` says after how many seconds of silence a worker is taken for dead.
    """

    def __init__(self, database: sqlite3.Connection, rules: Rules, lease: float) -> None:
        self._database = database
        self._rules = rules
        self._lease = lease
        database.execute(FOUND)

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
        """Hand out pages, of free hosts and of those that the worker holds, by turns."""
        execute, now = self._database.execute, time.time()
        self._hear(worker, now)
        room = self._room(worker)
        hosts: list[tuple[int, str]] = []
        if most > 0 and more and room > 0:
            query = """select id, name from hosts where owner is null and waiting > 0
                       and ready_at <= ? order by ready_at, id limit ?"""
            hosts += execute(query, (now, min(room, most))).fetchall()
        if most > 0:
            # Of each there is at least one page, so there is no need to look at more of them.
            query = """select id, name from hosts where owner = ? and waiting > 0
                       order by served limit ?"""
            held = execute(query, (worker, most + len(full))).fetchall()
            hosts += [host for host in held if host[1] not in full]
        pages = self._take(worker, [host for host, _ in hosts], most, now)
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

    def _take(self, worker: int, hosts: list[int], most: int, now: float) -> list[Page]:
        """Claim pages of these hosts, the least deep of each, until there are enough."""
        if not hosts:
            return []
        query = """select p.id, h.id, p.url, p.source, p.depth, p.redirects, h.named
                   from json_each(?) j cross join hosts h on h.id = j.value
                   cross join pages p on p.id in
                       (select id from pages where host = h.id and state = 0
                        order by depth limit ?)
                   limit ?"""
        rows = self._database.execute(
            query, (json.dumps(hosts), share_of(most, len(hosts)), most)
        ).fetchall()
        self._set_state(_CLAIMED, [row[0] for row in rows])
        taken = _counted(row[1] for row in rows)
        self._database.executemany(
            "update hosts set owner = ?, served = ?, waiting = waiting - ? where id = ?",
            [(worker, now, n, host) for host, n in taken],
        )
        return [Page._make(row[2:]) for row in rows]

    def _set_state(self, state: int, pages: Iterable[int]) -> None:
        text = "update pages set state = ? where id in (select value from json_each(?))"
        self._database.execute(text, (state, json.dumps(list(pages))))

    def _settled(self) -> int:
        """The depth at and above which no page may turn out to be nearer."""
        least, _ = self._least()
        # What was set aside may be fetched one day, and leads somewhere then.
        query = "select min(depth) from pages where state = 3"
        (aside,) = self._database.execute(query).fetchone()
        return least if aside is None else min(least, int(aside))

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
        query = """select j.value, p.id, p.depth, p.host
                   from json_each(?) j
                   cross join pages p on p.mark = substr(?, 1 + 16 * j.key, 16)
                   cross join hosts h on h.id = p.host
                   where p.state = 1 and h.owner = ?"""
        urls = [page.url for page in done if page.url]
        rows = execute(query, (json.dumps(urls), _marks(urls), worker)).fetchall()
        found = {url: _Claim(*row) for url, *row in rows}
        if len(found) != len(urls):
            raise Fenced(f"worker {worker} no longer holds what it has fetched")
        self._close(done, found)
        reached: list[_Reached] = []
        for page in done:
            depth = found[page.url].depth if page.url else 0
            reached += [(link, depth + page.step, page.redirects, "") for link in page.links]
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
        least = self._settled()
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
        least = self._settled()
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
               and not exists (select 1 from pages where mark = ?)""",
            (mark, url, depth, host, mark),
        )

    def add(self, listed: Sequence[tuple[str, str]]) -> None:
        """Take URLs of the list, each with its line."""
        execute, place = self._database.execute, self._rules.place
        hosts = list({host_of(url) for url, _ in listed})
        self._know_hosts(hosts)
        names = json.dumps(hosts)
        execute(
            "update hosts set named = 1 where name in (select value from json_each(?))", (names,)
        )
        if place is not None:
            places = json.dumps(list(map(place, hosts)))
            execute("insert or ignore into begun select value from json_each(?)", (places,))
        self._reach([(url, 0, 0, source) for url, source in listed])

    def _reach(self, reached: list[_Reached]) -> None:
        """Add what is new, and lower what is nearer than was thought, with all that follows."""
        while reached and (found := self._nearer(reached)):
            self._put(found)
            if self._rules.place is not None:
                text = "delete from found where place not in (select place from begun)"
                self._database.execute(text)
            reached = self._lower()
            self._add_found()

    def _nearer(self, reached: list[_Reached]) -> list[_Reached]:
        """What is not known, or not to be as near: each URL once, by its shortest way.

        Of several ways that are as short, the first counts. This looks at one index and nothing
        else; most links of most pages go no further.
        """
        best: dict[str, _Reached] = {}
        for row in reached:
            if row[1] <= self._rules.depth and (row[0] not in best or row[1] < best[row[0]][1]):
                best[row[0]] = row
        rows = list(best.values())
        query = """select j.key from json_each(?) j where not exists
                   (select 1 from pages p
                    where p.mark = substr(?, 1 + 16 * j.key, 16) and p.depth <= j.value)"""
        depths = json.dumps([row[1] for row in rows])
        found = self._database.execute(query, (depths, _marks(best))).fetchall()
        return [rows[key] for (key,) in found]

    def _put(self, rows: list[_Reached]) -> None:
        """Put what was found on a table, with numbers, as pages lead to things in some order."""
        execute, place = self._database.execute, self._rules.place
        found = []
        for url, depth, redirects, source in rows:
            host = host_of(url)
            found.append((url, host, depth, redirects, source, place(host) if place else ""))
        execute("delete from found")
        execute(
            """insert into found
               select substr(?, 1 + 16 * key, 16), json_extract(value, '$[0]'),
                      json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                      json_extract(value, '$[3]'), json_extract(value, '$[4]'),
                      json_extract(value, '$[5]'), 0, key
               from json_each(?)""",
            (_marks(row[0] for row in rows), json.dumps(found)),
        )

    def _lower(self) -> list[_Reached]:
        """Lower the known ones; returns what they lead to, if they are done."""
        execute = self._database.execute
        query = """select p.id, p.depth, f.depth, p.state
                   from found f cross join pages p on p.mark = f.mark"""
        rows = execute(query).fetchall()
        if not rows:
            return []
        execute(
            """update pages set depth = (select f.depth from found f where f.mark = pages.mark)
               where id in (select value from json_each(?))""",
            (json.dumps([row[0] for row in rows]),),
        )
        execute("delete from found where exists (select 1 from pages p where p.mark = found.mark)")
        reached: list[_Reached] = []
        levels: Counter[int] = Counter()
        for page, before, depth, state in rows:
            if state in (_WAITING, _CLAIMED):
                levels[before] -= 1
                levels[depth] += 1
            elif state == _DONE:
                query = "select step, links from kept where depth = ? and page = ?"
                kept = execute(query, (before, page)).fetchone()
                if kept is not None:
                    step, links = kept
                    text = "update kept set depth = ? where depth = ? and page = ?"
                    execute(text, (depth, before, page))
                    text = zlib.decompress(links).decode()
                    reached += [(link, depth + step, 0, "") for link in text.split("\n") if link]
        self._count_levels(levels)
        return reached

    def _add_found(self) -> None:
        """Add what is left on the table, which is new."""
        execute = self._database.execute
        self._bound()
        hosts = execute("select distinct host from found").fetchall()
        if not hosts:
            return
        self._know_hosts(host for (host,) in hosts)
        execute(
            """insert into pages (mark, url, host, source, depth, redirects, state)
               select f.mark, f.url, h.id, f.source, f.depth, f.redirects, f.state
               from found f join hosts h on h.name = f.host order by f.number"""
        )
        self._count_new(
            execute(
                """select h.id, f.depth, count(*) from found f join hosts h on h.name = f.host
                   where f.state = 0 group by h.id, f.depth"""
            ).fetchall()
        )

    def _count_new(self, new: Iterable[tuple[int, int, int]]) -> None:
        """Count pages that begin to wait: of which host, how deep, how many."""
        by_host: Counter[int] = Counter()
        levels: Counter[int] = Counter()
        for host, depth, n in new:
            by_host[host] += n
            levels[depth] += n
        self._database.executemany(
            """update hosts set pages = pages + ?, open = open + ?, waiting = waiting + ?
               where id = ?""",
            [(n, n, n, host) for host, n in by_host.items()],
        )
        self._count_levels(levels)
        self._database.execute("update crawl set pages = pages + ?", (by_host.total(),))

    # ---- how much may be asked for ---------------------------------------------------------------

    def _bound(self) -> None:
        """Set aside, on the table, what would be more than may be asked for."""
        rules, execute = self._rules, self._database.execute
        if rules.max_pages is None and rules.max_per_host is None:
            return
        query = """select f.mark, f.host, coalesce(h.pages, 0)
                   from found f left join hosts h on h.name = f.host
                   order by f.depth, f.number"""
        _, aside = self._admit(execute(query))
        text = "update found set state = ? where mark = ?"
        self._database.executemany(text, [(_ASIDE, mark) for mark in aside])

    def take_up(self) -> None:
        """Let what was set aside wait, as far as the rules now allow; the crawl is gone on with."""
        rules, execute = self._rules, self._database.execute
        limit = -1
        if rules.max_pages is not None:
            (asked,) = execute("select pages from crawl").fetchone()
            if rules.max_per_host is None or asked >= rules.max_pages:
                limit = max(0, rules.max_pages - asked)
        query = """select p.id, p.host, h.pages from pages p cross join hosts h on h.id = p.host
                   where p.state = 3 order by p.depth limit ?"""
        pages, _ = self._admit(execute(query, (limit,)))
        numbers = json.dumps(pages)
        new = execute(
            """select host, depth, count(*) from pages
               where id in (select value from json_each(?)) group by host, depth""",
            (numbers,),
        ).fetchall()
        self._set_state(_WAITING, pages)
        self._count_new(new)

    def _admit(self, rows: Iterable[tuple[T, H, int]]) -> tuple[list[T], list[T]]:
        """Which of these may be asked for, and which not; each has its host and a count."""
        rules = self._rules
        (pages,) = self._database.execute("select pages from crawl").fetchone()
        counts: dict[H, int] = {}
        admitted, aside = [], []
        for what, host, count in rows:
            of_host = counts.setdefault(host, count)
            if (rules.max_pages is not None and pages >= rules.max_pages) or (
                rules.max_per_host is not None and of_host >= rules.max_per_host
            ):
                aside.append(what)
                continue
            counts[host] += 1
            pages += 1
            admitted.append(what)
        return admitted, aside

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


def mark_of(url: str) -> bytes:
    """What a URL is found by: 128 bits of its hash."""
    return hashlib.blake2b(url.encode(), digest_size=16).digest()


def _marks(urls: Iterable[str]) -> bytes:
    """The marks of URLs, one after the other."""
    return b"".join(map(mark_of, urls))


def _counted(values: Iterable[int]) -> list[tuple[int, int]]:
    return list(Counter(values).items())
