"""Tasks and futures: what it costs to run coroutines, and to have them wait for one another."""

from __future__ import annotations

import asyncio

from benchmarks.catalogue import benchmark
from benchmarks.job import Job, Shape

MANY = 10_000


@benchmark("callbacks/sleep-0", counts="yield", shapes=[Shape(count=1), Shape(count=100)], step=100)
async def sleep_zero(job: Job) -> int:
    """Tasks (1, 100) that do nothing but give way: the cost of a task's step."""
    tasks = job.shape.count
    done = 0

    async def give_way() -> None:
        nonlocal done
        for _ in range(job.n // tasks):
            await asyncio.sleep(0)
            done += 1

    with job.timed():
        await asyncio.gather(*(give_way() for _ in range(tasks)))
    return done


@benchmark("callbacks/spawn-and-await", counts="task")
async def spawn_and_await(job: Job) -> int:
    """Create a task that returns at once, wait for it, create the next."""
    done = 0

    async def child() -> int:
        return 1

    with job.timed():
        for _ in range(job.n):
            done += await asyncio.create_task(child())
    return done


@benchmark("callbacks/future-ping-pong", counts="wake-up", step=2)
async def future_ping_pong(job: Job) -> int:
    """Two tasks that wake each other through futures, a new future each time."""
    loop = asyncio.get_running_loop()
    done = 0
    first: list[asyncio.Future[None]] = [loop.create_future()]
    second: list[asyncio.Future[None]] = [loop.create_future()]

    async def player(mine: list[asyncio.Future[None]], other: list[asyncio.Future[None]]) -> None:
        nonlocal done
        for _ in range(job.n // 2):
            await mine[0]
            mine[0] = loop.create_future()
            done += 1
            other[0].set_result(None)

    with job.timed():
        players = [
            asyncio.create_task(player(first, second)),
            asyncio.create_task(player(second, first)),
        ]
        first[0].set_result(None)
        await asyncio.gather(*players)
    return done
