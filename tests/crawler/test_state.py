"""A crawl that is killed at any moment and gone on with: nothing lost, nothing written twice."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from crawler.crawl import Manners, crawl
from crawler.demo.site import Addresses, Site
from crawler.frontier import Rules, Scope, SharedFrontier, SQLiteStore, feed
from crawler.frontier.sqlite_store import VERSION
from crawler.frontier.store import Done
from crawler.http import Client, Limits
from crawler.output import FORMATS, Format, Output
from crawler.summary import Summary
from tests.crawler.scripted import anchors, asked, pages, serving
from tests.crawler.test_cli import run_command
from tests.crawler.test_crawl import Notes, links_in

Run = Callable[..., Any]

NEAR = Scope(depth=3, same_host=True)


class Killed(Exception):
    """Stands for the end of the process."""


class Dying(SQLiteStore):
    """A state whose process ends at the commit with this number, before or after it is made.

    Without a number it lives.
    """

    dies_at = 0
    after = False

    async def commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        self.dies_at -= 1
        if self.dies_at or self.after:
            await super().commit(worker, done, written, counts)
        if not self.dies_at:
            raise Killed


async def go_on(
    found: Path,
    urls: list[str],
    state: SQLiteStore,
    scope: Scope = NEAR,
    form: Format = FORMATS["tsv"],
    client: Client | None = None,
) -> Summary:
    async with client or Client(limits=Limits(total=5)) as client:
        with state:
            summary = Summary()
            shared = SharedFrontier(state, scope, per_host=5, counts=summary.numbers)
            async with asyncio.TaskGroup() as group:
                group.create_task(feed(state, urls, lambda line: None))
                await crawl(
                    urls, found, client, Notes(), concurrency=5, scope=scope, form=form,
                    shared=shared, manners=Manners(robots="crawler"), summary=summary,
                )  # fmt: skip
            return summary


def state_in(
    tmp_path: Path, *, resume: bool = True, output: str = "found.txt", depth: int = 3
) -> Dying:
    rules = Rules(depth, place=str)
    return Dying(tmp_path / "crawl.db", tmp_path / output, resume=resume, rules=rules)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_end_at_any_commit_loses_nothing_and_writes_nothing_twice(
    run: Run,
    tmp_path: Path,
    site: Site,
    at: Addresses,
    after: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crawler.output.gathering.GATHER_BYTES_TO_COMMIT", 1_000)
    expected = site.within(at, 3)
    urls = [f"{at.http}/page/0"]
    found = tmp_path / "found.txt"
    scope = Scope(depth=3, allow=(re.compile(f"^{at.http}/"),))
    deaths = 0
    for dies_at in (1, 2, 3, 2, 1, 4):
        state = state_in(tmp_path)
        state.dies_at, state.after = dies_at, after
        try:
            run(go_on, tmp_path / "found.txt", urls, state, scope)
            break
        except* Killed:
            deaths += 1
    assert deaths > 3
    run(go_on, tmp_path / "found.txt", urls, state_in(tmp_path), scope)
    links = links_in(found)
    assert len(links) == len(set(links))
    assert set(links) == expected.links


def test_what_was_not_committed_is_cut_off(run: Run, tmp_path: Path) -> None:
    found = tmp_path / "found.txt"
    answers = {"/": anchors("/a", "/b"), "/a": anchors("/c"), "/b": anchors("/d")}
    with serving(pages(answers)) as server:
        run(go_on, tmp_path / "found.txt", [server.url], state_in(tmp_path, resume=False))
        whole = found.read_bytes()
        found.write_bytes(whole + b"http://half-a-li")
        before = len(server.requests)
        run(go_on, tmp_path / "found.txt", [server.url], state_in(tmp_path))
        assert found.read_bytes() == whole
        assert len(server.requests) == before  # there was nothing left to do


def test_a_list_is_gone_on_with_as_well(run: Run, tmp_path: Path) -> None:
    answers = {f"/{number}": anchors(f"/to/{number}") for number in range(10)}
    with serving(pages(answers)) as server:
        urls = [f"{server.url}/{number}#x" for number in range(10)]
        only_the_list = Scope()

        async def begin() -> None:
            with state_in(tmp_path, resume=False) as store:
                await store.add([(f"{server.url}/{number}", urls[number]) for number in range(5)])
                worker = await store.join()
                claimed = await store.claim(worker, 9)
                await store.commit(worker, [Done(page.url, []) for page in claimed.pages], 0, {})

        run(begin)
        run(go_on, tmp_path / "found.txt", urls, state_in(tmp_path), only_the_list)
        assert sorted(asked(server)) == [f"/{number}" for number in range(5, 10)]
    assert sorted(source for source, _ in links_in(tmp_path / "found.txt")) == urls[5:]


def test_a_state_belongs_to_one_output_and_to_one_process(tmp_path: Path) -> None:
    path, found = tmp_path / "crawl.db", tmp_path / "found.txt"
    with (
        SQLiteStore(path, found, resume=False),
        pytest.raises(OSError, match="in use by another crawler"),
    ):
        SQLiteStore(path, found, resume=True).__enter__()
    with pytest.raises(OSError, match="--resume"):
        SQLiteStore(path, found, resume=False).__enter__()
    with pytest.raises(OSError, match="belongs to the output"):
        SQLiteStore(path, tmp_path / "other.txt", resume=True).__enter__()
    for version, age in ((VERSION - 1, "an older"), (VERSION + 1, "a newer")):
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("update crawl set version = ?", (version,))
        with pytest.raises(OSError, match=f"is of {age} version of the crawler: go on with that"):
            SQLiteStore(path, found, resume=True).__enter__()
    (tmp_path / "text").write_text("this is no database, whatever it is called" * 99)
    with pytest.raises(OSError, match="it is no SQLite database"):
        SQLiteStore(tmp_path / "text", found, resume=True).__enter__()
    with contextlib.closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("create table precious (thing)")
        with pytest.raises(OSError, match="a database of something else"):
            SQLiteStore(tmp_path / "other", found, resume=True).__enter__()
        assert other.execute("select name from sqlite_master").fetchall() == [("precious",)]


def test_an_output_that_is_not_what_was_written_is_told(run: Run, tmp_path: Path) -> None:
    with serving(pages({"/": anchors("/a")})) as server:
        run(go_on, tmp_path / "found.txt", [server.url], state_in(tmp_path, resume=False))
        (tmp_path / "found.txt").unlink()
        try:
            run(go_on, tmp_path / "found.txt", [server.url], state_in(tmp_path))
        except* OSError as errors:
            first: BaseException = errors
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            assert "it is not what the crawl wrote" in str(first)
        else:
            pytest.fail("it went on")


def test_a_state_needs_a_file_as_output(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        with state_in(tmp_path) as store:
            shared = SharedFrontier(store, Scope(), per_host=1)
            async with shared, Output(Path("/dev/null"), journal=shared):
                pass

    with pytest.raises(OSError, match="must be a file"):
        run(main)


def test_a_state_that_is_there_is_not_begun_anew_and_its_output_stays(tmp_path: Path) -> None:
    with serving(pages({"/": anchors("/a")})) as server:
        first = run_command(server.url, "--state", "crawl.db", cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        again = run_command(server.url, "--state", "crawl.db", cwd=tmp_path)
        assert again.returncode == 2
        assert "go on with it by --resume" in again.stderr
        resumed = run_command(server.url, "--state", "crawl.db", "--resume", cwd=tmp_path)
        assert resumed.returncode == 0, resumed.stderr
        further = run_command(
            *(server.url, "--state", "crawl.db", "--resume", "--depth", "1"), cwd=tmp_path
        )
        assert further.returncode == 2
        assert (
            "holds a crawl with --format tsv --depth 0 --links a,area, not with" in further.stderr
        )
        assert len(server.requests) == 1
    assert len(links_in(tmp_path / "foundurls.txt")) == 1
    assert not (tmp_path / "foundurls.txt.1").exists()
