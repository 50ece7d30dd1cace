"""A crawl that is killed at any moment and gone on with: nothing lost, nothing written twice."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crawler.crawl import Manners, crawl
from crawler.demo.site import Addresses, Site
from crawler.frontier import Scope, State
from crawler.frontier.journal import Note
from crawler.frontier.known import Known
from crawler.http import Client, Limits
from crawler.output import Output
from crawler.summary import Summary
from tests.crawler.scripted import anchors, asked, pages, serving
from tests.crawler.test_cli import ROOT, command, run_command
from tests.crawler.test_crawl import Notes, links_in

Run = Callable[..., Any]

NEAR = Scope(depth=3, same_host=True)


class Killed(Exception):
    """Stands for the end of the process."""


class Dying(State):
    """A state whose process ends at the commit with this number, before or after it is made."""

    def __init__(self, path: Path, output: Path, *, at: int, after: bool) -> None:
        super().__init__(path, output, resume=True)
        self._left = at
        self._after = after

    async def commit(self, notes: Sequence[Note], written: int) -> None:
        self._left -= 1
        if self._left or self._after:
            await super().commit(notes, written)
        if not self._left:
            raise Killed


async def go_on(tmp_path: Path, urls: list[str], state: State, scope: Scope = NEAR) -> Summary:
    async with Client(limits=Limits(total=5)) as client:
        with state:
            return await crawl(
                urls, tmp_path / "found.txt", client, Notes(), concurrency=5, scope=scope,
                journal=state, manners=Manners(robots="crawler"),
            )  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_end_at_any_commit_loses_nothing_and_writes_nothing_twice(
    run: Run,
    tmp_path: Path,
    site: Site,
    at: Addresses,
    after: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crawler.output.gathering.GATHER_SECONDS", 0.005)
    expected = site.within(at, 3)
    urls = [f"{at.http}/page/0"]
    found, path = tmp_path / "found.txt", tmp_path / "crawl.db"
    scope = Scope(depth=3, allow=(re.compile(f"^{at.http}/"),))
    for dies_at in (1, 2, 3, 2, 1, 4):
        state = Dying(path, found, at=dies_at, after=after)
        try:
            run(go_on, tmp_path, urls, state, scope)
            break
        except* Killed:
            pass
    run(go_on, tmp_path, urls, State(path, found, resume=True), scope)
    links = links_in(found)
    assert len(links) == len(set(links))
    assert set(links) == expected.links


def test_what_was_not_committed_is_cut_off(run: Run, tmp_path: Path) -> None:
    found, path = tmp_path / "found.txt", tmp_path / "crawl.db"
    answers = {"/": anchors("/a", "/b"), "/a": anchors("/c"), "/b": anchors("/d")}
    with serving(pages(answers)) as server:
        run(go_on, tmp_path, [server.url], State(path, found, resume=False))
        whole = found.read_bytes()
        found.write_bytes(whole + b"http://half-a-li")
        before = len(server.requests)
        run(go_on, tmp_path, [server.url], State(path, found, resume=True))
        assert found.read_bytes() == whole
        assert len(server.requests) == before  # there was nothing left to do


def test_a_list_is_gone_on_with_as_well(run: Run, tmp_path: Path) -> None:
    found, path = tmp_path / "found.txt", tmp_path / "crawl.db"
    answers = {f"/{number}": anchors(f"/to/{number}") for number in range(10)}
    with serving(pages(answers)) as server:
        urls = [f"{server.url}/{number}#x" for number in range(10)]
        with State(path, found, resume=False) as state:
            for number in range(5):
                state.add(f"{server.url}/{number}", urls[number], 0)
                state.done(f"{server.url}/{number}", None)
            run(state.commit, state.take(), 0)
        run(go_on, tmp_path, urls, State(path, found, resume=True), Scope())
        assert sorted(asked(server)) == [f"/{number}" for number in range(5, 10)]
    assert sorted(source for source, _ in links_in(found)) == urls[5:]


def test_a_page_found_late_by_a_short_way_is_followed_after_the_end_too(
    run: Run, tmp_path: Path
) -> None:
    """The links kept of a page, because it may yet turn out to be nearer, outlive the process."""
    found, path = tmp_path / "found.txt", tmp_path / "crawl.db"
    answers = {
        "/": anchors("/long", "/late"),
        "/long": anchors("/far"),
        "/far": anchors("/page"),
        "/page": anchors("/end"),
        "/late": anchors("/page"),
        "/end": b"",
    }
    with serving(pages(answers)) as server:
        url = server.url
        with State(path, found, resume=False) as state:
            known = Known(3)
            known.add(f"{url}/page", 3)
            kept = known.close(f"{url}/page", [f"{url}/end"])
            assert kept is not None
            state.add(f"{url}/", url, 0)
            state.done(f"{url}/", None)
            for name, depth in (("long", 1), ("far", 2), ("page", 3), ("late", 1)):
                state.add(f"{url}/{name}", "", depth)
            for name in ("long", "far"):
                state.done(f"{url}/{name}", None)
            state.done(f"{url}/page", kept)
            run(state.commit, state.take(), 0)
        run(go_on, tmp_path, [url], State(path, found, resume=True))
        assert asked(server) == ["/robots.txt", "/late", "/end"]


def test_a_state_belongs_to_one_output_and_to_one_process(tmp_path: Path) -> None:
    path, found = tmp_path / "crawl.db", tmp_path / "found.txt"
    with State(path, found, resume=False), pytest.raises(OSError, match="database is locked"):
        State(path, found, resume=True).__enter__()
    with pytest.raises(OSError, match="--resume"):
        State(path, found, resume=False).__enter__()
    with pytest.raises(OSError, match="belongs to the output"):
        State(path, tmp_path / "other.txt", resume=True).__enter__()
    (tmp_path / "text").write_text("this is no database, whatever it is called" * 99)
    with pytest.raises(OSError, match="file is not a database"):
        State(tmp_path / "text", found, resume=True).__enter__()


def test_an_output_that_is_not_what_was_written_is_told(run: Run, tmp_path: Path) -> None:
    found, path = tmp_path / "found.txt", tmp_path / "crawl.db"
    with serving(pages({"/": anchors("/a")})) as server:
        run(go_on, tmp_path, [server.url], State(path, found, resume=False))
        found.unlink()
        with pytest.raises(OSError, match="it is not what the crawl wrote"):
            run(go_on, tmp_path, [server.url], State(path, found, resume=True))


def test_a_state_needs_a_file_as_output(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        with State(tmp_path / "crawl.db", tmp_path / "found.txt", resume=False) as state:
            async with Output(Path("/dev/null"), journal=state):
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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("loop", ["miniloop", "asyncio"])
def test_kill_9_at_random_moments_changes_nothing(
    tmp_path: Path, site: Site, at: Addresses, loop: str
) -> None:
    expected = site.within(at, 30)
    arguments = [
        f"{at.http}/page/0", "--depth", "30", "--allow", f"^{at.http}/", "--state", "crawl.db",
        "--resume", "-o", "found.tsv", "--loop", loop, "--per-host", "2",
    ]  # fmt: skip
    randomly = random.Random(9)
    kills = 0
    while True:
        process = subprocess.Popen(
            command(*arguments),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        # Not before it has begun, and then some time between two failures that it reports.
        lines = randomly.randrange(1, 200) if kills < 12 else 1 << 30
        for _, _line in zip(range(lines), process.stderr, strict=False):
            pass
        process.kill()
        code = process.wait()
        process.stderr.close()
        if code >= 0:
            break
        kills += 1
    assert kills > 3
    links = links_in(tmp_path / "found.tsv")
    assert len(links) == len(set(links))
    assert set(links) == expected.links
