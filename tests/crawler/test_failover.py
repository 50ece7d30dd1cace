"""Engines that fail over, are full, or slow: a crawl loses nothing by any of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ResponseError

from crawler.frontier import Fenced, RedisStore, Rules
from crawler.frontier.redis.scripts import CRAWL, SHARD
from crawler.frontier.store import Done
from tests.crawler.engines import a_replica, an_engine, needs_engine

pytestmark = needs_engine
A, B, C = "http://a/", "http://b/", "http://c/"
RULES = Rules(depth=5)


async def everything(store: RedisStore, worker: int) -> list[str]:
    """Do all that there is to do; returns which pages that was."""
    done = []
    while not (claimed := await store.claim(worker, 9)).over:
        pages = [page.url for page in claimed.pages]
        await store.commit(worker, [Done(page, []) for page in pages], 0, {})
        done += pages
        if not pages:
            await asyncio.sleep(0.01)
    return done


@pytest.mark.parametrize("lost", ["claim", "commit", "release", "join"])
def test_who_lost_something_by_a_failover_ends_and_others_do_it_again(lost: str) -> None:
    with an_engine() as primary, a_replica(primary) as replica:
        url = primary.url("?lease=2")

        async def main() -> None:
            async with RedisStore(url, rules=RULES, part="one") as store:
                steps = {
                    "join": lambda: store.join(),
                    "claim": lambda: store.claim(one, 9),
                    "commit": lambda: store.commit(one, [Done(A, [B, C])], 77, {"pages": 1}),
                    "release": lambda: store.release(one, {"a": 0.0}),
                }
                await store.add([(A, A)])
                await store.end_list()
                one = await store.join()
                if lost in ("commit", "release"):
                    await store.claim(one, 9)
                # As one that lags does, it has nothing of what follows.
                primary.cli("set", "mark", "here")
                while replica.cli("get", "mark") != "here\n":
                    await asyncio.sleep(0.01)
                replica.cli("replicaof", "no", "one")
                await steps[lost]()
                primary.kill()
                replica.take_over(primary)
                with pytest.raises(Fenced, match="has lost what it had acknowledged"):
                    await store.claim(one, 9)
            async with RedisStore(url, rules=RULES, part="two") as store:
                await store.end_list()
                assert await everything(store, await store.join()) == [A]
                assert (await store.parts())["one"] == 0

        asyncio.run(asyncio.wait_for(main(), 20))


def test_a_commit_waits_for_the_replicas_that_are_asked_for() -> None:
    with an_engine() as primary, a_replica(primary) as replica:
        url = primary.url("?lease=2&replicas=1")

        async def main() -> None:
            async with RedisStore(url, rules=RULES, part="one") as store:
                await store.add([(A, A)])
                await store.end_list()
                one = await store.join()
                await store.claim(one, 9)
                await store.commit(one, [Done(A, [B, C])], 77, {})
                primary.kill()
                replica.take_over(primary)
                with pytest.raises(OSError, match="0 of 1 replicas have what was written"):
                    await store.add([(C, C)])
            with pytest.raises(OSError, match="has 0 replicas; 1 are asked for"):
                await RedisStore(url).__aenter__()
            async with RedisStore(url.partition("&")[0], rules=RULES) as store:
                await store.end_list()
                assert sorted(await everything(store, await store.join())) == [B, C]
                assert await store.parts() == {"one": 77}

        asyncio.run(asyncio.wait_for(main(), 20))


def test_a_step_is_known_when_it_is_made_again_and_refused_when_it_comes_too_late() -> None:
    with an_engine() as engine:

        async def main() -> None:
            async with RedisStore(engine.url(), rules=RULES, shards=1) as store:
                await store.add([(A, A), (B, B)])
                one = await store.join()

                def take(*name: object) -> Any:
                    words = (" ".join(map(str, name)), one, 1, 9, 9, "request")
                    return client.eval(SHARD.script("take").text, 1, key, *words)

                client, key = store._engine._client, store._engine.shard_key(0)
                first = await take("take", "me", 0, 1)
                assert len(first) == 1
                assert await take("take", "me", 0, 1) == first
                assert await take("take", "me", 1, 2) != first
                with pytest.raises(ResponseError, match="LATE"):
                    await take("take", "me", 0, 1)
                with pytest.raises(ResponseError, match="LOST"):
                    await take("take", "me", 3, 4)

        asyncio.run(main())


def test_pages_are_reserved_and_given_back_once_however_often_that_is_said() -> None:
    with an_engine() as engine:

        async def main() -> None:
            async with RedisStore(engine.url(), rules=RULES) as store:

                def make(step: str, number: int, *words: int) -> Any:
                    name = f"{step} me {number - 1} {number}"
                    return client.eval(CRAWL.script(step).text, 1, key, name, *words)

                client, key = store._engine._client, store._engine.crawl_key
                assert [await make("reserve", 1, 10, 6) for _ in range(2)] == [6, 6]
                for _ in range(2):
                    await make("unused", 2, 2)
                assert [await make("reserve", 3, 10, 9) for _ in range(2)] == [6, 6]
                assert await make("reserve", 4, 10, 9) == 0
                row = ("f", b"0123456789", A, "a", 1, 0, "", "")
                words = ("add me 0 1", 5, -1, *row)
                key = store._engine.shard_key(0)
                for _ in range(2):
                    assert await client.eval(SHARD.script("add").text, 1, key, *words) == 1

        asyncio.run(main())


def test_replicas_that_nobody_waits_for_are_told_of() -> None:
    with an_engine() as primary, a_replica(primary):

        async def main() -> list[str]:
            async with RedisStore(primary.url()) as store:
                return await store.warnings()

        assert "say ?replicas=1" in "".join(asyncio.run(main()))


def test_an_engine_that_is_full_holds_commits_up_until_it_has_room() -> None:
    said: list[str] = []
    with an_engine() as engine:
        url = engine.url("?lease=2")

        async def main() -> None:
            async with RedisStore(url, rules=RULES, part="one", say=said.append) as store:
                await store.add([(A, A)])
                await store.end_list()
                one = await store.join()
                await store.claim(one, 9)
                engine.cli("config", "set", "maxmemory", "1mb")
                done = Done(A, [B, *(f"{C}{number}" for number in range(9))])
                committing = asyncio.create_task(store.commit(one, [done], 77, {"pages": 1}))
                while not said:
                    assert not committing.done()
                    await asyncio.sleep(0.01)
                assert said == [f"{url.partition('?')[0]} is full (maxmemory): waiting for room"]
                # Who holds something keeps it, and may give it back.
                assert not (await store.claim(one, 9)).pages
                assert not committing.done()
                engine.cli("config", "set", "maxmemory", "0")
                await committing
                assert len(await everything(store, one)) == 10

        asyncio.run(asyncio.wait_for(main(), 20))


def test_an_engine_that_does_not_answer_for_a_while_is_waited_for() -> None:
    with an_engine() as engine:

        async def main() -> None:
            async with RedisStore(engine.url(), rules=RULES, part="one") as store:
                await store.add([(A, A)])
                await store.end_list()
                one = await store.join()
                await store.claim(one, 9)
                engine.cli("client", "pause", "600", "write")
                began = asyncio.get_running_loop().time()
                await store.commit(one, [Done(A, [B, C])], 77, {"pages": 1})
                assert asyncio.get_running_loop().time() - began > 0.3
                assert sorted(await everything(store, one)) == [B, C]

        asyncio.run(asyncio.wait_for(main(), 20))
