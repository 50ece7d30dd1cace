"""Tasks and futures: what it costs to run coroutines, and to have them wait for one another."""

from __future__ import annotations

import asyncio
import sys

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
        done += job.n // tasks

    with job.timed():
        await asyncio.gather(*(give_way() for _ in range(tasks)))
    return done


@benchmark("callbacks/sleep", counts="sleep", step=MANY)
async def sleep(job: Job) -> int:
    """Ten thousand tasks that sleep, all at once, for 0 to 1 ms: a timer and two steps each."""
    done = 0

    async def nap(seconds: float) -> None:
        nonlocal done
        await asyncio.sleep(seconds)
        done += 1

    with job.timed():
        for _ in range(job.n // MANY):
            # 617 and 1000 have no common divisor: all lengths occur, in no order.
            naps = [nap((1 + number * 617 % 1000) * 1e-6) for number in range(MANY)]
            await asyncio.gather(*naps)
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


@benchmark("callbacks/gather", counts="task", step=MANY)
async def gather(job: Job) -> int:
    """Ten thousand tasks that return at once, gathered."""
    done = 0

    async def child() -> int:
        return 1

    with job.timed():
        for _ in range(job.n // MANY):
            done += sum(await asyncio.gather(*(child() for _ in range(MANY))))
    return done


@benchmark("callbacks/future-ping-pong", counts="wake-up", step=2)
async def future_ping_pong(job: Job) -> int:
    """Two tasks that wake each other through futures, a new future each time."""
    loop = asyncio.get_running_loop()
    done = 0
    # What each of the players, 0 and 1, waits for.
    ball: list[asyncio.Future[None]] = [loop.create_future(), loop.create_future()]

    async def player(me: int) -> None:
        nonlocal done
        for _ in range(job.n // 2):
            await ball[me]
            ball[me] = loop.create_future()
            done += 1
            ball[1 - me].set_result(None)

    with job.timed():
        players = [asyncio.create_task(player(0)), asyncio.create_task(player(1))]
        ball[0].set_result(None)
        await asyncio.gather(*players)
    return done


@benchmark("callbacks/queue", counts="item")
async def queue(job: Job) -> int:
    """A producer and a consumer with a queue of ten places between them."""
    items: asyncio.Queue[int] = asyncio.Queue(10)
    done = 0

    async def consume() -> None:
        nonlocal done
        for _ in range(job.n):
            done += await items.get()

    with job.timed():
        consumer = asyncio.create_task(consume())
        for _ in range(job.n):
            await items.put(1)
        await consumer
    return done


@benchmark("callbacks/lock", counts="holding", step=10)
async def lock(job: Job) -> int:
    """Ten tasks that want the same lock, and give way while they hold it."""
    mutex = asyncio.Lock()
    done = 0

    async def hold() -> None:
        nonlocal done
        for _ in range(job.n // 10):
            async with mutex:
                before = done
                await asyncio.sleep(0)
                done = before + 1

    with job.timed():
        await asyncio.gather(*(hold() for _ in range(10)))
    return done


@benchmark("callbacks/event", counts="wake-up", step=100)
async def event(job: Job) -> int:
    """A hundred tasks that wait for the same event, which is set and cleared again and again."""
    signal = asyncio.Event()
    done = 0

    async def wait() -> None:
        nonlocal done
        for _ in range(job.n // 100):
            await signal.wait()
            done += 1

    with job.timed():
        waiters = [asyncio.create_task(wait()) for _ in range(100)]
        for _ in range(job.n // 100):
            await asyncio.sleep(0)  # let all of them wait
            signal.set()
            signal.clear()
        await asyncio.gather(*waiters)
    return done


if sys.version_info >= (3, 12):

    @benchmark("callbacks/eager-task", counts="task")
    async def eager_task(job: Job) -> int:
        """Tasks that are started eagerly, and are done before their first step would be due."""
        loop = asyncio.get_running_loop()
        done = 0

        async def child() -> int:
            return 1

        loop.set_task_factory(asyncio.eager_task_factory)
        try:
            with job.timed():
                for _ in range(job.n):
                    done += await asyncio.create_task(child())
        finally:
            loop.set_task_factory(None)
        return done
