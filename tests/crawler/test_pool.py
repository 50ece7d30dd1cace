"""The rules of the connection pool, each by itself, on connections that only know how to close."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest

from crawler.http import URL
from crawler.http.connection import Connection
from crawler.http.pool import Origin, Pool
from crawler.http.request import RequestTemplate

Run = Callable[..., Any]
A, B, C = URL("http://a/"), URL("http://b/"), URL("http://c/")


class Wire:
    """Stands for a connection: the pool closes it, and looks at when it became idle."""

    def __init__(self) -> None:
        self.closed = False
        self.idle_since = 0.0

    def close(self) -> None:
        self.closed = True


def wire() -> Connection:
    return cast(Connection, Wire())


def closed(connection: Connection) -> bool:
    return cast(Wire, connection).closed


def pool(total: int = 100, per_origin: int = 100, keep_alive: float = 60.0) -> Pool:
    return Pool(
        lambda url: RequestTemplate(url, []),
        total=total,
        per_origin=per_origin,
        keep_alive=keep_alive,
    )


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def opened(pool: Pool, url: URL) -> tuple[Origin, Connection]:
    """A connection that was opened with a permit of the pool."""
    origin, connection = await pool.acquire(url)
    assert connection is None
    return origin, wire()


async def take(pool: Pool, url: URL) -> Connection | None:
    """What the pool has for a URL: a connection, or a permit."""
    _, connection = await pool.acquire(url)
    return connection


def test_the_connection_used_last_is_taken_first(run: Run) -> None:
    async def main() -> None:
        p = pool()
        origin, first = await opened(p, A)
        _, second = await opened(p, A)
        p.put(origin, first)
        p.put(origin, second)
        assert p.idle_connections == 2
        assert await take(p, A) is second
        assert await take(p, A) is first
        assert await take(p, A) is None
        p.close()

    run(main)


def test_origins_do_not_share_connections(run: Run) -> None:
    async def main() -> None:
        p = pool()
        origin, connection = await opened(p, A)
        p.put(origin, connection)
        assert await take(p, B) is None
        assert await take(p, URL("https://a/")) is None
        assert await take(p, URL("http://a:81/")) is None
        assert await take(p, URL("http://a:80/x?y")) is connection
        p.close()

    run(main)


def test_the_limit_per_origin_makes_one_wait_and_whoever_came_first_is_served_first(
    run: Run,
) -> None:
    async def main() -> None:
        p = pool(per_origin=1)
        origin, connection = await opened(p, A)
        served: list[int] = []

        async def want(number: int) -> None:
            got = await take(p, A)
            assert got is connection
            served.append(number)
            await asyncio.sleep(0)
            p.put(origin, got)

        tasks = [asyncio.create_task(want(number)) for number in range(5)]
        await turns()
        assert served == []
        p.put(origin, connection)
        await asyncio.gather(*tasks)
        assert served == [0, 1, 2, 3, 4]
        p.close()

    run(main)


def test_a_permit_given_back_goes_to_the_next_waiter(run: Run) -> None:
    async def main() -> None:
        p = pool(per_origin=1)
        origin, _ = await opened(p, A)
        waiter = asyncio.create_task(take(p, A))
        await turns()
        p.drop(origin)
        assert await waiter is None
        assert p.open_connections == 1
        p.drop(origin)
        assert p.open_connections == 0

    run(main)


def test_at_the_total_limit_the_connection_idle_longest_makes_room(run: Run) -> None:
    async def main() -> None:
        p = pool(total=2)
        origin_a, a = await opened(p, A)
        origin_b, b = await opened(p, B)
        p.put(origin_a, a)
        p.put(origin_b, b)
        assert await take(p, C) is None
        assert (closed(a), closed(b)) == (True, False)
        assert (p.open_connections, p.idle_connections) == (2, 1)
        p.close()

    run(main)


def test_at_the_total_limit_with_none_idle_another_origin_waits_and_gets_the_place(
    run: Run,
) -> None:
    async def main() -> None:
        p = pool(total=1)
        origin_a, a = await opened(p, A)
        waiter = asyncio.create_task(take(p, B))
        await turns()
        assert not waiter.done()
        p.put(origin_a, a)
        assert await waiter is None
        assert closed(a)
        assert p.open_connections == 1

    run(main)


def test_an_origin_with_many_waiters_does_not_starve_another(run: Run) -> None:
    async def main() -> None:
        p = pool(total=1)
        origin_a, _ = await opened(p, A)
        order: list[str] = []

        async def want(url: URL, name: str) -> None:
            origin, taken = await p.acquire(url)
            connection = taken or wire()
            order.append(name)
            await asyncio.sleep(0)
            p.put(origin, connection)

        tasks = []
        for url, name in ((A, "a1"), (B, "b1"), (A, "a2"), (A, "a3"), (C, "c1"), (B, "b2")):
            tasks.append(asyncio.create_task(want(url, name)))
            await turns(2)
        p.drop(origin_a)
        await asyncio.gather(*tasks)
        # Who queued first goes first, except that an origin that got nothing yet gets its turn.
        assert order == ["a1", "b1", "c1", "a2", "a3", "b2"]
        assert p.open_connections == 1
        p.close()

    run(main)


@pytest.mark.parametrize(("total", "per_origin"), [(1, 1), (3, 2), (5, 1), (7, 7)])
def test_random_use_keeps_the_limits_and_everyone_is_served(
    run: Run, total: int, per_origin: int
) -> None:
    async def main(seed: int) -> None:
        choose = random.Random(seed)
        p = pool(total, per_origin)
        open_now: Counter[str] = Counter()

        class Counted(Wire):
            def __init__(self, key: str) -> None:
                super().__init__()
                self.key = key
                open_now[key] += 1

            def close(self) -> None:
                assert not self.closed
                super().close()
                open_now[self.key] -= 1

        async def want(url: URL) -> None:
            origin, taken = await p.acquire(url)
            connection = taken or cast(Connection, Counted(url.origin))
            assert cast(Counted, connection).key == url.origin
            assert not closed(connection)
            assert open_now.total() <= total
            assert open_now[url.origin] <= per_origin
            try:
                await turns(choose.randrange(4))
            except asyncio.CancelledError:
                connection.close()
                p.drop(origin)
                raise
            if choose.random() < 0.7:
                p.put(origin, connection)
            else:
                connection.close()
                p.drop(origin)

        urls = [URL(f"http://host-{number}/") for number in range(4)]
        tasks = []
        for _ in range(200):
            tasks.append(asyncio.create_task(want(choose.choice(urls))))
            await turns(choose.randrange(3))
            if choose.random() < 0.2:
                choose.choice(tasks).cancel()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
        assert p.open_connections == p.idle_connections == open_now.total()
        p.close()
        assert open_now.total() == p.open_connections == len(p._origins) == 0

    for seed in range(30):
        run(main, seed)


def test_a_waiter_that_gives_up_is_passed_over(run: Run) -> None:
    async def main() -> None:
        p = pool(per_origin=1)
        origin, connection = await opened(p, A)
        first, second = (asyncio.create_task(take(p, A)) for _ in range(2))
        await turns()
        first.cancel()
        await turns()
        p.put(origin, connection)
        assert await second is connection
        p.close()

    run(main)


@pytest.mark.parametrize("served_with", ["a connection", "a permit"])
def test_a_waiter_cancelled_in_the_turn_it_is_served_gives_back_what_it_got(
    run: Run, served_with: str
) -> None:
    async def main() -> None:
        p = pool(per_origin=1)
        origin, connection = await opened(p, A)
        first, second = (asyncio.create_task(take(p, A)) for _ in range(2))
        await turns()
        if served_with == "a connection":
            p.put(origin, connection)
        else:
            p.drop(origin)
        first.cancel()  # its future has a result by now, and it has not run since
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second is (connection if served_with == "a connection" else None)
        p.drop(origin)
        assert p.open_connections == 0

    run(main)


def test_origins_are_forgotten_when_nothing_is_left_of_them(run: Run) -> None:
    async def main() -> None:
        p = pool(total=10)
        for number in range(1000):
            origin, connection = await opened(p, URL(f"http://host-{number}/"))
            p.put(origin, connection)
        assert p.open_connections == 10
        assert len(p._origins) == 10
        waiting = pool(total=1)
        await opened(waiting, A)
        tasks = [
            asyncio.create_task(take(waiting, URL(f"http://host-{number}/")))
            for number in range(10)
        ]
        await turns()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(waiting._origins) == 1
        p.close()

    run(main)


def test_an_idle_connection_expires(run: Run) -> None:
    async def main() -> None:
        p = pool(keep_alive=0.05)
        origin, first = await opened(p, A)
        _, second = await opened(p, A)
        p.put(origin, first)
        await asyncio.sleep(0.03)
        put = asyncio.get_running_loop().time()
        p.put(origin, second)
        while not closed(first):
            await asyncio.sleep(0.001)
        if closed(second):  # it may be, if the machine paused: then its time is over, too
            assert asyncio.get_running_loop().time() - put >= 0.05
        while p.open_connections:
            await asyncio.sleep(0.001)
        assert closed(second)

    run(main)


def test_a_connection_in_use_does_not_expire(run: Run) -> None:
    async def main() -> None:
        p = pool(keep_alive=0.01)
        origin, connection = await opened(p, A)
        p.put(origin, connection)
        assert await take(p, A) is connection
        await asyncio.sleep(0.03)
        assert not closed(connection)
        p.drop(origin)

    run(main)


def test_closing_closes_what_is_idle_now_and_what_is_in_use_when_it_comes_back(run: Run) -> None:
    async def main() -> None:
        p = pool()
        origin, idle = await opened(p, A)
        _, used = await opened(p, A)
        p.put(origin, idle)
        p.close()
        assert (closed(idle), closed(used)) == (True, False)
        p.put(origin, used)
        assert closed(used)
        assert p.open_connections == 0
        with pytest.raises(RuntimeError, match="the client is closed: make a new one"):
            await take(p, A)

    run(main)


def test_taking_and_giving_back_costs_the_same_with_ten_thousand_connections_as_with_ten(
    run: Run,
) -> None:
    async def seconds(connections: int) -> float:
        p = pool(total=connections, per_origin=connections)
        urls = [URL(f"http://host-{number % 10}/") for number in range(connections)]
        for origin, connection in [await opened(p, url) for url in urls]:
            p.put(origin, connection)
        best = 1.0
        for _ in range(20):
            start = time.perf_counter()
            for url in urls[:10] * 20:
                origin, taken = await p.acquire(url)
                assert taken is not None
                p.put(origin, taken)
            best = min(best, time.perf_counter() - start)
        p.close()
        return best

    async def main() -> tuple[float, float]:
        return await seconds(10), await seconds(10_000)

    few, many = run(main)
    assert many < 4 * few  # a pool that looked through them all would take some hundred times it
