"""redis-py's asyncio client against a real ``redis-server``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

Run = Callable[..., Any]


@asynccontextmanager
async def client(url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of an empty database."""
    connected = redis.asyncio.Redis.from_url(url, decode_responses=True)
    async with connected:
        await connected.flushall()
        yield connected


def test_a_hundred_tasks_increment_one_counter(run: Run, redis_url: str) -> None:
    async def main() -> None:
        async with client(redis_url) as database:
            await asyncio.gather(*(database.incr("visits") for _ in range(100)))
            assert await database.get("visits") == "100"

    run(main)


def test_a_pipeline_and_a_value_of_a_megabyte_come_back(run: Run, redis_url: str) -> None:
    big = "loop" * (1 << 18)

    async def main() -> None:
        async with client(redis_url) as database:
            async with database.pipeline() as pipeline:
                for number in range(500):
                    pipeline.set(f"key:{number}", number)
                assert await pipeline.execute() == [True] * 500
            assert len([key async for key in database.scan_iter("key:*")]) == 500
            await database.set("big", big)
            assert await database.get("big") == big

    run(main)


def test_published_messages_reach_a_subscriber_in_order(run: Run, redis_url: str) -> None:
    async def main() -> list[str]:
        async with client(redis_url) as database, database.pubsub() as subscriber:
            await subscriber.subscribe("news")
            first = await subscriber.get_message(timeout=10)
            assert first is not None
            assert first["type"] == "subscribe"
            for number in range(20):
                await database.publish("news", number)
            heard = []
            async for message in subscriber.listen():
                heard.append(message["data"])
                if len(heard) == 20:
                    return heard
        return []

    assert run(main) == [str(number) for number in range(20)]


def test_a_blocking_read_times_out_and_can_be_cancelled(run: Run, redis_url: str) -> None:
    async def main() -> None:
        async with client(redis_url) as database:
            assert await database.blpop(["empty"], timeout=0.05) is None
            waiting = asyncio.create_task(database.blpop(["empty"], timeout=0))
            # Until the server itself says that somebody waits.
            while (await database.info("clients"))["blocked_clients"] == 0:
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await database.ping()

    run(main)


def test_an_error_of_the_server_and_a_refused_connection_are_told(run: Run, redis_url: str) -> None:
    async def main() -> None:
        async with client(redis_url) as database:
            await database.set("word", "loop")
            with pytest.raises(redis.exceptions.ResponseError, match="not an integer"):
                await database.incr("word")
        once = Retry(NoBackoff(), 0)
        async with redis.asyncio.Redis(host="127.0.0.1", port=1, retry=once) as nobody:
            with pytest.raises(redis.exceptions.ConnectionError):
                await nobody.ping()

    run(main)
