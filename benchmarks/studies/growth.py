"""How cost grows: the price of one event, while more and more of a kind are there at once."""

from __future__ import annotations

import asyncio

from benchmarks.catalogue import benchmark
from benchmarks.far_end import echo_details, exchange, order
from benchmarks.job import Job, Shape
from benchmarks.layers.crawl import crawl_site, ours, whole_site
from benchmarks.layers.echo import BACKLOG, Echo, kept, messages, per_connection

MANY = (1, 10, 100, 1000, 10_000)
SIZE = 100  # bytes of a message
BUSY = 10  # of the connections of which most are idle
EACH = 100  # timers that are set before the loop has a turn


@benchmark(
    "growth/connections",
    counts="message",
    shapes=[Shape(size=SIZE, connections=number) for number in MANY],
    step=per_connection,
    far_end=True,
    limit="tcp",
)
async def connections(job: Job) -> int:
    """TCP echo of 100 bytes on 1 to 10,000 connections, all of them busy."""
    loop = asyncio.get_running_loop()
    served: list[Echo] = []
    server = await loop.create_server(kept(Echo, served), "127.0.0.1", 0, backlog=BACKLOG)
    async with server:
        await exchange(job, "tcp", server.sockets[0].getsockname())
    return messages(job, served)


@benchmark(
    "growth/idle-connections",
    counts="message",
    shapes=[Shape(size=SIZE, connections=number) for number in MANY if number >= BUSY],
    step=BUSY,
    far_end=True,
)
async def idle_connections(job: Job) -> int:
    """TCP echo of 100 bytes on 10 connections, while up to 10,000 are open and idle."""
    loop = asyncio.get_running_loop()
    served: list[Echo] = []
    server = await loop.create_server(kept(Echo, served), "127.0.0.1", 0, backlog=BACKLOG)
    async with server:
        address = server.sockets[0].getsockname()
        details = echo_details(job, "tcp", address)
        idle = job.connections - BUSY
        await order(job, "echo_client", **{**details, "connections": BUSY, "idle": idle})
    return messages(job, served)


@benchmark(
    "growth/timers",
    counts="timer",
    shapes=[Shape(count=number) for number in MANY],
    step=EACH,
)
async def timers(job: Job) -> int:
    """A timer that is set and fires at once, while 1 to 10,000 others are not yet due."""
    loop = asyncio.get_running_loop()
    done = 0

    def strike(last: asyncio.Future[None] | None) -> None:
        nonlocal done
        done += 1
        if last is not None:
            last.set_result(None)

    waiting = [loop.call_later(3600 + number, strike, None) for number in range(job.shape.count)]
    with job.timed():
        for _ in range(job.n // EACH):
            start = loop.time()
            for number in range(EACH - 1):
                # 37 and 100 have no common divisor: each of the places is taken once.
                loop.call_at(start - (number * 37 % EACH) * 1e-6, strike, None)
            last = loop.create_future()
            loop.call_at(start, strike, last)
            await last
    for handle in waiting:
        handle.cancel()
    return done


@benchmark(
    "growth/pages",
    counts="page",
    shapes=[Shape(count=number) for number in (1000, 10_000, 100_000)],
    step=whole_site,
    far_end=True,
    slow=True,
    requires=("h11", "aiofiles", "can_ada"),
)
async def pages(job: Job) -> int:
    """Our crawler on sites of 1,000 to 100,000 pages, links checked."""
    return await crawl_site(job, ours)
