"""A worker's part of a crawl that several share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.frontier import Job, MemoryStore, Rules, Scope, SharedFrontier, SQLiteStore, Store
from crawler.frontier.shared import FIRST_LOOK, MOST
from crawler.frontier.store import Claimed

Run = Callable[..., Any]
HOSTS, PAGES = 120, 70


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_hosts_that_are_to_be_left_alone_hold_no_others_up(
    run: Run, tmp_path: Path, kind: str
) -> None:
    """Each page of a host may wait for an hour: so there is one of each host, and soon."""

    async def visit(store: Store) -> None:
        for page in range(PAGES):
            await store.add([(f"http://h{host}/{page}", "") for host in range(HOSTS)])
        await store.end_list()
        visited: set[str] = set()
        all_visited = asyncio.Event()

        async def work(frontier: SharedFrontier) -> None:
            job: Job | None = None
            while (job := await frontier.next(job)) is not None:
                assert job.url.host not in visited
                visited.add(job.url.host)
                if len(visited) == HOSTS:
                    all_visited.set()

        async with SharedFrontier(store, Scope(depth=1), per_host=8, delay=3600.0) as frontier:
            workers = [asyncio.create_task(work(frontier)) for _ in range(5)]
            await all_visited.wait()
            assert frontier.waiting < HOSTS * PAGES
            frontier.drain()
            await asyncio.gather(*workers)

    async def main() -> None:
        rules = Rules(depth=1)
        if kind == "memory":
            await visit(MemoryStore(rules))
        else:
            path = tmp_path / "crawl.db"
            with SQLiteStore(path, path, resume=True, rules=rules) as store:
                await visit(store)

    assert HOSTS * PAGES > 16 * MOST
    run(main)


def test_no_more_hosts_are_given_back_than_others_are_to_have(run: Run) -> None:
    """They cannot be given back before their pages are done, and the others ask all the while."""

    async def main() -> None:
        store = MemoryStore(Rules(depth=1))
        await store.add([(f"http://h{host}/{page}", "") for host in range(8) for page in range(9)])
        await store.end_list()
        async with SharedFrontier(
            store, Scope(depth=1), per_host=1, last_look=FIRST_LOOK
        ) as frontier:
            jobs = [await frontier.next() for _ in range(8)]
            assert len({job.url.host for job in jobs if job is not None}) == 8
            other = await store.join()
            assert not (await store.claim(other, 9)).pages
            waiting = asyncio.create_task(frontier.next())
            looks = 0
            claim = store.claim

            async def counted(*words: Any, **options: Any) -> Claimed:
                nonlocal looks
                looks += 1
                return await claim(*words, **options)

            store.claim = counted  # type: ignore[method-assign]
            while looks < 4:
                await asyncio.sleep(0)
            assert len(frontier._leaving) == 4
            frontier.drain()
            await waiting

    run(main)
