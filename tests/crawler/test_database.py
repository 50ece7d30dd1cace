"""The crawl as an SQLite database: what is in it, who may read it, and nothing is there twice."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.demo.site import Addresses, Site
from crawler.fetching import keep_timings
from crawler.frontier import Scope, SharedFrontier
from crawler.http import Client
from crawler.http.trace import STEPS
from crawler.output import FORMATS, Output, Record
from tests.crawler.scripted import anchors, pages, serving
from tests.crawler.test_cli import run_command
from tests.crawler.test_following import follow
from tests.crawler.test_output import small_disk  # noqa: F401 - a fixture
from tests.crawler.test_state import Killed, go_on, state_in

Run = Callable[..., Any]
SQLITE = FORMATS["sqlite"]


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def test_pages_and_links_are_tables_and_found_is_what_the_lines_would_be(
    run: Run, tmp_path: Path
) -> None:
    answers = {"/": anchors("/a", "/b"), "/a": anchors("/"), "/b": b""}

    async def main(url: str) -> None:
        await follow(tmp_path, url, client=Client(trace=keep_timings), form=SQLITE)

    with serving(pages(answers)) as server:
        run(main, server.url)
        url = server.url
    path = tmp_path / "found.txt"
    assert sorted(rows(path, "select url, status, depth, error from pages")) == [
        (url, 200, 0, ""),
        (f"{url}/a", 200, 1, ""),
        (f"{url}/b", 200, 1, ""),
    ]
    assert sorted(rows(path, "select * from found")) == [
        (url, f"{url}/a"),
        (url, f"{url}/b"),
        (f"{url}/a", f"{url}/"),
    ]
    ((time, seconds, connect),) = rows(
        path, "select time, seconds, connect_tcp from pages where depth = 0"
    )
    assert time > 1e9
    assert 0 < connect < seconds


def test_a_page_is_there_with_all_that_a_record_says(run: Run, tmp_path: Path) -> None:
    record = Record(
        "http://a/\udce9", 3, 12.5, 200, "http://b/", ["http://a/"], "text/html", "utf-8", 5, 9,
        0.25, {"resolve": 0.125}, ["odd"], ["http://c/", "http://d/é"], "", "x",
    )  # fmt: skip

    async def main() -> None:
        async with Output(tmp_path / "crawl.db", form=SQLITE) as output:
            await output.put(SQLITE.write(record))

    run(main)
    ((number, *first), *more) = rows(tmp_path / "crawl.db", "select * from pages")
    assert (number, more) == (1, [])
    timings = [0.125 if name == "resolve" else None for name in STEPS]
    assert first == [
        "http://a/\\udce9", 3, 12.5, 200, "http://b/", '["http://a/"]', "text/html", "utf-8", 5, 9,
        0.25, *timings, '["odd"]', "", "x",
    ]  # fmt: skip
    assert rows(tmp_path / "crawl.db", "select * from links") == [
        (1, 0, "http://c/"),
        (1, 1, "http://d/é"),
    ]


def test_an_earlier_crawl_is_replaced_or_added_to(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "crawl.db"

    async def main(url: str, append: bool) -> None:
        async with Output(path, form=SQLITE, append=append) as output:
            await output.put(SQLITE.write(Record(url)))

    run(main, "http://a/", False)
    run(main, "http://b/", False)
    run(main, "http://c/", True)
    assert rows(path, "select id, url from pages") == [(1, "http://b/"), (2, "http://c/")]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["crawl.db"]


def test_it_is_one_file_afterwards_for_those_who_read_it_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "crawl.db"

    async def main() -> None:
        async with Output(path, form=SQLITE) as output:
            await output.put(SQLITE.write(Record("http://a/")))

    run(main)
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    assert reader.execute("select url from pages").fetchall() == [("http://a/",)]
    assert [each.name for each in tmp_path.iterdir()] == ["crawl.db"]
    reader.close()
    assert [each.name for each in tmp_path.iterdir()] == ["crawl.db"]


def test_others_may_read_while_the_crawl_goes_on(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "crawl.db"

    async def main() -> None:
        async with Output(path, form=SQLITE) as output:
            reader = sqlite3.connect(path)
            reader.execute("begin")
            assert reader.execute("select count(*) from pages").fetchone() == (0,)
            await output.put(SQLITE.write(Record("http://a/")))
        assert reader.execute("select count(*) from pages").fetchone() == (0,)
        reader.close()

    run(main)
    assert rows(path, "select url from pages") == [("http://a/",)]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_end_at_any_commit_loses_nothing_and_writes_nothing_twice(
    run: Run,
    tmp_path: Path,
    site: Site,
    at: Addresses,
    after: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crawler.output.gathering.GATHER_BYTES_TO_COMMIT", 5_000)
    expected = site.within(at, 3)
    found, urls = tmp_path / "found.db", [f"{at.http}/page/0"]
    scope = Scope(depth=3, allow=(re.compile(f"^{at.http}/"),))
    for dies_at in (1, 2, 1, 3):
        state = state_in(tmp_path, output="found.db")
        state.dies_at, state.after = dies_at, after
        try:
            run(go_on, found, urls, state, scope, SQLITE)
            break
        except* Killed:
            pass
    run(go_on, found, urls, state_in(tmp_path, output="found.db"), scope, SQLITE)
    links = rows(found, "select * from found")
    assert len(links) == len(set(links))
    assert set(links) == expected.links
    assert not rows(found, "select url from pages group by url having count(*) > 1")


def test_a_database_that_is_not_what_was_written_is_told(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with Output(tmp_path / "found.db", form=SQLITE, journal=Late()):
            pass

    class Late(SharedFrontier):
        def __init__(self) -> None:
            pass

        @contextlib.asynccontextmanager
        async def turn(self) -> AsyncIterator[int]:
            yield 3

    with pytest.raises(OSError, match="has 0 pages, and the state says 3: it is not what"):
        run(main)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_told(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with Output(tmp_path / "found.db", form=SQLITE) as output:
            while True:
                await output.put(SQLITE.write(Record("http://a/", links=["http://b/" * 99] * 99)))
                await asyncio.sleep(0)

    with pytest.raises(OSError, match=r"cannot write .*found\.db: the disk reports"):
        run(main)


def test_what_is_no_database_is_not_added_to(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 99)

    async def main() -> None:
        async with Output(tmp_path / "text", form=SQLITE, append=True):
            pass

    with pytest.raises(OSError, match="it is no SQLite database"):
        run(main)
    assert (tmp_path / "text").read_text() == "no database" * 99


def test_workers_may_open_it_at_one_time(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = 0

    class Contended(sqlite3.Connection):
        """Of two that want the file for themselves SQLite refuses one at once: here the first."""

        def execute(self, sql: str, /, *arguments: Any) -> sqlite3.Cursor:
            nonlocal refusals
            if sql == "pragma journal_mode = wal" and not refusals:
                refusals += 1
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise error
            return super().execute(sql, *arguments)

    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Contended))
    path = tmp_path / "found.db"

    async def main() -> None:
        targets = [SQLITE.target(path) for _ in range(4)]
        await asyncio.gather(*(target.open(append=True) for target in targets))
        for target in targets:
            await target.close()

    run(main)
    assert refusals == 1
    assert rows(path, "select count(*) from pages") == [(0,)]


@pytest.mark.parametrize("output", ["-", "/dev/null"])
def test_a_pipe_takes_no_database_and_one_is_told_what_it_takes(
    tmp_path: Path, output: str
) -> None:
    done = run_command("http://h/", "-o", output, "--format", "sqlite", cwd=tmp_path)
    assert done.returncode == 2
    assert f"sqlite must be written to a file, not to {output}" in done.stderr
    assert "formats for pipes are tsv, jsonl, csv, warc" in done.stderr


def test_the_ending_of_the_output_asks_for_it(tmp_path: Path, at: Addresses) -> None:
    done = run_command(f"{at.http}/page/0", "-o", "out.sqlite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ((status, flags),) = rows(tmp_path / "out.sqlite", "select status, flags from pages")
    assert (status, json.loads(flags)) == (200, [])


@pytest.mark.parametrize("loop", ["miniloop", "asyncio", "uvloop"])
def test_a_crawl_is_written_alike_on_every_loop(
    tmp_path: Path, site: Site, at: Addresses, loop: str
) -> None:
    pytest.importorskip(loop)
    expected = site.within(at, 3)
    done = run_command(
        *(f"{at.http}/page/0", "--depth", 3, "--allow", f"^{at.http}/", "--loop", loop),
        *("-o", "out.db"),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    assert set(rows(tmp_path / "out.db", "select * from found")) == expected.links
    counted = "select error, count(*) from pages group by error"
    assert dict(rows(tmp_path / "out.db", counted)) == {
        "": expected.pages,
        "status": expected.failures["status"],
        **({"robots.txt": expected.disallowed} if expected.disallowed else {}),
    }
