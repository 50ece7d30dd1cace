"""What every store promises, by one test for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.frontier import Fenced, MemoryStore, Rules, SQLiteStore, Store, sqlite_store
from crawler.frontier.redis.store import RedisStore
from crawler.frontier.sqlite_tables import Tables
from crawler.frontier.store import SHARE, Done, Page
from tests.crawler.test_known import NAMES, Graph, breadth_first
from tests.ecosystem import daemons

Make = Callable[..., contextlib.AbstractAsyncContextManager[Store]]
A, B, C = "http://a/", "http://b/", "http://c/"


@contextlib.asynccontextmanager
async def memory(path: Path, rules: Rules, **options: float) -> AsyncIterator[Store]:
    yield MemoryStore(rules, **options)


@contextlib.asynccontextmanager
async def sqlite(path: Path, rules: Rules, **options: float) -> AsyncIterator[Store]:
    output = path.with_suffix(".tsv")
    with SQLiteStore(path, output, resume=True, rules=rules, **options) as store:
        yield store


class Server:
    """A ``redis-server`` for as long as this file's tests run, begun when the first needs it."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._url = ""

    def url(self) -> str:
        self._url = self._url or self._stack.enter_context(daemons.redis())
        return self._url

    def stop(self) -> None:
        self._stack.close()
        self._url = ""


REDIS = Server()


@pytest.fixture(scope="module", autouse=True)
def redis_server() -> Iterator[None]:
    yield
    REDIS.stop()


@contextlib.asynccontextmanager
async def redis(path: Path, rules: Rules, **options: float) -> AsyncIterator[Store]:
    """A name of its own for each path, in the one server of these tests."""
    name = path.parent.name
    async with RedisStore(f"{REDIS.url()}/{name}", rules=rules, shards=3, **options) as store:  # type: ignore[arg-type]
        yield store


MAKERS: list[Make] = [memory, sqlite, redis]


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    kind: Make = request.param

    def made(rules: Rules | None = None, **options: float) -> object:
        return kind(tmp_path / "store.db", rules or Rules(depth=9), **options)

    return made  # type: ignore[return-value]


def urls(pages: list[Page]) -> list[str]:
    return sorted(page.url for page in pages)


async def listing(store: Store, *listed: str) -> int:
    """A worker of a store that has this list."""
    await store.add([(url, url) for url in listed])
    await store.end_list()
    return await store.join()


async def commit(store: Store, worker: int, *done: Done, written: int = 0) -> None:
    await store.commit(worker, done, written, {})


def test_each_url_of_the_list_is_claimed_once_and_the_first_line_is_its_source(make: Make) -> None:
    async def main() -> None:
        async with make() as store:
            await store.add([(A, "first"), (B, "b"), (A, "second")])
            await store.add([(A, "third")])
            worker = await store.join()
            claimed = await store.claim(worker, 10)
            assert {page.url: page.source for page in claimed.pages} == {A: "first", B: "b"}
            assert all(page.named and page.depth == 0 for page in claimed.pages)
            assert not (await store.claim(worker, 10)).pages

    asyncio.run(main())


def test_the_crawl_is_over_when_the_list_is_read_and_all_is_done(make: Make) -> None:
    async def main() -> None:
        async with make() as store:
            await store.add([(A, A)])
            worker = await store.join()
            await store.claim(worker, 1)
            assert not (await store.claim(worker, 1)).over
            await commit(store, worker, Done(A, [A + "1"]))
            assert not (await store.claim(worker, 0)).over
            assert urls((await store.claim(worker, 1)).pages) == [A + "1"]
            await commit(store, worker, Done(A + "1", [A]))
            assert not (await store.claim(worker, 1)).over  # the list may have more
            await store.end_list()
            assert (await store.claim(worker, 1)).over

    asyncio.run(main())


def test_a_host_is_held_by_one_worker_at_a_time_and_each_has_a_share(make: Make) -> None:
    async def main() -> None:
        async with make() as store:
            one = await listing(store, *(f"http://{host}/{n}" for host in "abcd" for n in range(3)))
            two = await store.join()
            ones = (await store.claim(one, 100)).pages
            assert len(ones) == 6
            twos = (await store.claim(two, 100)).pages
            assert len(twos) == 6
            assert not {page.url[:9] for page in ones} & {page.url[:9] for page in twos}
            await commit(store, one, *(Done(page.url, [page.url + "x"]) for page in ones))
            # What is new at a host goes to whoever holds it, or to anybody once nobody does.
            more = urls((await store.claim(one, 100)).pages)
            assert more == sorted(page.url + "x" for page in ones)

    asyncio.run(main())


def test_a_worker_that_has_more_than_its_share_is_asked_to_give_when_another_is_hungry(
    make: Make,
) -> None:
    async def main() -> None:
        async with make() as store:
            one = await listing(store, *(f"http://{host}/{n}" for host in "abcd" for n in range(3)))
            assert len((await store.claim(one, 100)).pages) == 12
            two = await store.join()
            assert (await store.claim(one, 0)).give == 0
            assert not (await store.claim(two, 100)).pages
            assert (await store.claim(one, 0)).give == 2
            await store.release(one, {"a": 0.0, "b": 1000.0})
            # Of the host that is to be left alone nothing is claimed.
            assert urls((await store.claim(two, 100)).pages) == [f"http://a/{n}" for n in range(3)]
            assert not (await store.claim(two, 100)).pages
            with pytest.raises(Fenced):
                await commit(store, one, Done("http://a/0", []))

    asyncio.run(main())


def test_claims_are_bounded_in_all_and_for_each_host(make: Make) -> None:
    async def main() -> None:
        async with make() as store:
            worker = await listing(
                store, *(f"http://{host}/{n}" for host in "ab" for n in range(SHARE + 5))
            )
            assert len((await store.claim(worker, 7)).pages) == 7
            assert len((await store.claim(worker, 1000, ["a", "b"])).pages) == SHARE
            rest = (await store.claim(worker, 1000)).pages
            assert len(rest) <= 2 * SHARE
            assert not (await store.claim(worker, 1000, ["a", "b"])).pages

    asyncio.run(main())


def test_what_a_dead_worker_held_is_claimed_by_another_and_its_late_commit_is_refused(
    make: Make,
) -> None:
    async def main() -> None:
        async with make() as store:
            one = await listing(store, A, B)
            two = await store.join()
            (page,) = (await store.claim(one, 1)).pages
            await store.leave(one)
            taken = (await store.claim(two, 10)).pages
            assert page.url in urls(taken)
            for worker in (one, one):
                with pytest.raises(Fenced):
                    await store.commit(worker, [Done(page.url, [C])], 99, {"pages": 1})
            await commit(store, two, *(Done(page.url, []) for page in taken), written=7)
            assert (await store.claim(two, 1)).over
            assert await store.written(two) == 7
            assert await store.counted() == {}

    asyncio.run(main())


def test_a_worker_that_is_silent_for_too_long_loses_what_it_holds(make: Make) -> None:
    async def main() -> None:
        async with make(lease=0.3) as store:
            one = await listing(store, A)
            assert (await store.claim(one, 1)).pages
            two = await store.join()
            while not (claimed := await store.claim(two, 1)).pages:
                await asyncio.sleep(0.01)
            assert urls(claimed.pages) == [A]
            with pytest.raises(Fenced):
                await commit(store, one, Done(A, []))
            with pytest.raises(Fenced):
                await store.claim(one, 1)

    asyncio.run(main())


def test_a_commit_is_refused_as_a_whole(make: Make) -> None:
    async def main() -> None:
        async with make() as store:
            one = await listing(store, A, B)
            two = await store.join()
            (mine,) = (await store.claim(one, 1)).pages
            (other,) = (await store.claim(two, 1)).pages
            with pytest.raises(Fenced):
                await store.commit(
                    one, [Done(mine.url, [C]), Done(other.url, [C])], 9, {"pages": 2}
                )
            assert await store.written(one) == 0
            assert await store.counted() == {}
            await store.commit(one, [Done(mine.url, [])], 5, {"pages": 1})
            await store.commit(two, [Done(other.url, [])], 9, {"pages": 1, "links": 3})
            assert await store.counted() == {"pages": 2, "links": 3}
            assert (await store.claim(one, 1)).over
            with pytest.raises(Fenced):  # done is done
                await commit(store, one, Done(mine.url, [C]))

    asyncio.run(main())


def test_redirects_moves_and_limits_of_the_scope_are_kept(make: Make) -> None:
    async def main() -> None:
        rules = Rules(depth=1, max_pages=4, place=str)
        async with make(rules) as store:
            worker = await listing(store, A)
            await store.claim(worker, 9)
            # Where a page of the list has moved to the crawl belongs, and need not ask again.
            await commit(
                store, worker, Done(A, [A + "1", B, B + "1", B + "2", B + "3", C], moved=B)
            )
            pages = (await store.claim(worker, 9)).pages
            assert len(pages) == 3
            assert not {A, B, C} & set(urls(pages))
            assert all(page.depth == 1 and not page.source for page in pages)
            await commit(store, worker, *(Done(page.url, [A + "deep"]) for page in pages))
            assert (await store.claim(worker, 9)).over

    asyncio.run(main())


def test_no_more_of_a_host_is_asked_for_than_may_be(make: Make) -> None:
    async def main() -> None:
        async with make(Rules(depth=1, max_per_host=2)) as store:
            worker = await listing(store, A, A + "1", A + "2", B)
            assert len((await store.claim(worker, 9)).pages) == 3

    asyncio.run(main())


@pytest.mark.parametrize("bound", ["max_pages", "max_per_host"])
@pytest.mark.parametrize("kind", [sqlite, redis])
def test_a_crawl_that_asked_for_less_is_gone_on_with_for_more_or_says_why_not(
    kind: Make, bound: str, tmp_path: Path
) -> None:
    async def ask(most: int | None, links: list[str]) -> list[str]:
        got: list[str] = []
        async with kind(tmp_path / "store.db", Rules(depth=2, **{bound: most})) as store:
            worker = await listing(store, A)
            while not (claimed := await store.claim(worker, 1)).over:
                for page in claimed.pages:
                    await commit(store, worker, Done(page.url, links))
                    got.append(page.url)
        return got

    async def main() -> None:
        links = [A + "1", A + "2", A + "3"]
        assert await ask(2, links) == [A, A + "1"]
        assert await ask(2, links) == []
        if kind is sqlite:
            assert await ask(3, links) == [A + "2"]
            assert await ask(None, links) == [A + "3"]
        else:
            with pytest.raises(OSError, match=f"--{bound.replace('_', '-')} 2, not with"):
                await ask(3, links)

    asyncio.run(main())


def test_where_a_redirect_leads_is_as_deep_as_the_page_and_says_how_many_there_were(
    make: Make,
) -> None:
    async def main() -> None:
        async with make() as store:
            worker = await listing(store, A)
            await store.claim(worker, 9)
            await commit(store, worker, Done(A, [B], step=0, redirects=3))
            (page,) = (await store.claim(worker, 9)).pages
            assert page == Page(B, "", 0, 3, named=False)

    asyncio.run(main())


@pytest.mark.parametrize("kind", MAKERS, ids=lambda make: make.__name__)
@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(NAMES, st.lists(NAMES, max_size=3, unique=True)),
    st.lists(NAMES, min_size=1, max_size=3),
    st.integers(0, 5),
    st.integers(0, 1 << 32),
)
def test_workers_that_come_and_die_find_what_a_search_level_by_level_does(
    tmp_path_factory: pytest.TempPathFactory,
    kind: Make,
    graph: Graph,
    roots: list[str],
    limit: int,
    seed: int,
) -> None:
    def url(name: str) -> str:
        return f"http://{'xyz'[ord(name) % 3]}/{name}"

    fetched: list[str] = []
    randomly = random.Random(seed)

    async def main() -> None:
        path = tmp_path_factory.mktemp("store") / "store.db"
        async with kind(path, Rules(depth=limit)) as store:
            workers: dict[int, list[Page]] = {}
            unread = list(roots)
            read = over = False
            while not over:
                step = randomly.choice(["list", "join", "claim", "commit", "die"])
                if step == "list" and not read:
                    if unread:
                        await store.add([(url(unread.pop()), "line")])
                    else:
                        await store.end_list()
                        read = True
                elif step == "join" and len(workers) < 3:
                    workers[await store.join()] = []
                elif workers:
                    worker = randomly.choice(sorted(workers))
                    have = workers[worker]
                    if step == "die" and len(workers) > 1:
                        await store.leave(worker)
                        del workers[worker]
                    elif step == "claim":
                        claimed = await store.claim(worker, randomly.randint(1, 3))
                        have += claimed.pages
                        over = claimed.over
                        if claimed.give and not have:
                            await store.release(worker, {"x": 0.0, "y": 0.0, "z": 0.0})
                    elif step == "commit" and have:
                        count = randomly.randint(1, len(have))
                        done = [
                            Done(page.url, [url(link) for link in graph.get(page.url[9:], ())])
                            for page in have[:count]
                        ]
                        await store.commit(worker, done, 0, {})
                        fetched.extend(page.url for page in have[:count])
                        del have[:count]

    asyncio.run(main())
    assert sorted(fetched) == sorted(map(url, breadth_first(graph, roots, limit)))


@settings(deadline=None, max_examples=20)
@given(
    st.dictionaries(NAMES, st.lists(NAMES, max_size=3, unique=True)),
    st.lists(NAMES, min_size=1, max_size=3),
    st.integers(0, 5),
    st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 4)), max_size=3),
    st.randoms(use_true_random=False),
)
def test_a_crawl_whose_bounds_were_raised_finds_what_one_without_them_does(
    tmp_path_factory: pytest.TempPathFactory,
    graph: Graph,
    roots: list[str],
    limit: int,
    bounds: list[tuple[int, int | None]],
    randomly: random.Random,
) -> None:
    def url(name: str) -> str:
        return f"http://{'xyz'[ord(name) % 3]}/{name}"

    fetched: list[str] = []

    async def go_on(path: Path, rules: Rules) -> None:
        async with sqlite(path, rules) as store:
            worker = await listing(store, *map(url, roots))
            while not (claimed := await store.claim(worker, randomly.randint(1, 3))).over:
                for page in claimed.pages:
                    links = [url(link) for link in graph.get(page.url[9:], ())]
                    await commit(store, worker, Done(page.url, links))
                    fetched.append(page.url)
            assert rules.max_pages is None or len(fetched) <= max(most, rules.max_pages)

    path = tmp_path_factory.mktemp("store") / "store.db"
    most = 0
    for max_pages, max_per_host in [*bounds, (None, None)]:
        asyncio.run(go_on(path, Rules(limit, max_pages, max_per_host)))
        most = len(fetched)
    assert sorted(fetched) == sorted(map(url, breadth_first(graph, roots, limit)))


def test_no_step_of_the_file_looks_through_all_pages_or_hosts(tmp_path: Path) -> None:
    """What SQLite says of how it would do each statement that a crawl makes."""
    statements: list[str] = []

    async def main() -> None:
        path, rules = tmp_path / "store.db", Rules(depth=3, place=str)
        with SQLiteStore(path, path, resume=True, rules=rules, lease=1e9) as store:
            store._database.set_trace_callback(statements.append)
            one = await listing(store, A, B)
            two = await store.join()
            (page,) = (await store.claim(one, 9)).pages
            links = [page.url + "1", page.url + "2"]
            await commit(store, one, Done(page.url, links, moved=C, rest=1.0))
            await store.claim(one, 9, ["a"])
            await store.release(one, {"a": 0.0, "b": 0.0})
            await store.leave(one)
            await store.claim(two, 9)
            store._database.set_trace_callback(None)
            for statement in set(statements):
                verb = statement.split(maxsplit=1)[0]
                if verb not in ("select", "insert", "update", "delete") or " lines" in statement:
                    continue  # "lines" is a table for as long as a list is added
                for *_, how in store._database.execute(f"explain query plan {statement}"):
                    assert not re.match(r"SCAN (p|pages|hosts|h|kept)\b(?!.*INDEX)", how), statement
                    assert "TEMP B-TREE FOR ORDER BY" not in how or "found" in statement, statement

    asyncio.run(main())
    assert len(set(statements)) > 30


def test_what_was_written_ahead_is_moved_and_a_failure_of_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "CHECKPOINT_ROWS", 10)
    monkeypatch.setattr(sqlite_store, "MOST_AHEAD", 0)
    how: list[str] = []
    move = SQLiteStore._move

    def moving(self: SQLiteStore, what: str) -> bool:
        how.append(what)
        if len(how) > 4:
            raise sqlite3.OperationalError("disk I/O error")
        return move(self, what)

    monkeypatch.setattr(SQLiteStore, "_move", moving)

    async def main() -> None:
        path = tmp_path / "store.db"
        with SQLiteStore(path, path, resume=True) as store:
            size = path.stat().st_size
            numbers = itertools.count()

            async def add_until(moves: int) -> None:
                while len(how) < moves:
                    number = next(numbers)
                    await store.add([(f"http://{number}/{page}", "") for page in range(20)])
                    await asyncio.sleep(0.001)

            await add_until(4)
            # Nothing was closed, and it is in its place all the same.
            assert path.stat().st_size > size
            with pytest.raises(OSError, match="disk I/O error"):
                await add_until(7)

    asyncio.run(main())
    assert how[:4] == ["passive", "restart"] * 2


@pytest.mark.parametrize("links", [1, sqlite_store.SHORT + 1])
def test_a_short_step_is_made_on_the_loop_and_a_long_one_in_a_thread(
    tmp_path: Path, links: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    commit = Tables.commit

    def committing(self: Tables, *arguments: Any) -> None:
        threads.append(threading.get_ident())
        commit(self, *arguments)

    monkeypatch.setattr(Tables, "commit", committing)

    async def main() -> None:
        path = tmp_path / "store.db"
        with SQLiteStore(path, path, resume=True, rules=Rules(depth=3)) as store:
            worker = await listing(store, A)
            (page,) = (await store.claim(worker, 9)).pages
            found = Done(page.url, [f"http://a/{number}" for number in range(links)])
            await store.commit(worker, [found], 0, {})
            assert len((await store.claim(worker, 2 * SHARE)).pages) == min(links, SHARE)

    asyncio.run(main())
    assert (threads == [threading.get_ident()]) is (links == 1)


def test_who_finds_the_file_in_use_waits_without_holding_the_loop(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "store.db"
        with SQLiteStore(path, path, resume=True) as store:
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("begin immediate")
                joining = asyncio.create_task(store.join())
                for _ in range(20):
                    await asyncio.sleep(0.001)
                assert not joining.done()
                other.execute("commit")
            assert await joining == 1

    asyncio.run(main())
