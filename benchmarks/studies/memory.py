"""How much memory things take: resident bytes of the process, divided by how many there are.

Resident bytes and not `sys.getsizeof` or `tracemalloc`: those do not see what a loop written in C
allocates. The kernel's own share of a connection is not in them, and is the same for all. What
every loop has to keep for a task besides the task, the coroutine's frame and the future it waits
for, is in the figure.
"""

from __future__ import annotations

import asyncio
import gc
import resource
from pathlib import Path
from typing import cast

from benchmarks.catalogue import benchmark
from benchmarks.far_end import crowd
from benchmarks.job import Job

FEW = 100  # made before the first look, so that what is allocated only once is there
MANY = 10_000
CONNECTIONS = 5000


def resident() -> int:
    """The bytes of this process that are in memory now, or the most that ever were."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@benchmark("memory/task", counts="task", step=MANY, unit="B", fresh=True)
async def task(job: Job) -> int:
    """A task that waits for a future of its own."""
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[None]] = []

    async def wait() -> int:
        future = loop.create_future()
        futures.append(future)
        await future
        return 1

    async def make(number: int) -> list[asyncio.Task[int]]:
        made = [asyncio.create_task(wait()) for _ in range(number)]
        await asyncio.sleep(0)
        return made

    few = await make(FEW)
    before = resident()
    many = await make(job.n)
    job.record(resident() - before)
    for future in futures:
        future.set_result(None)
    return sum(await asyncio.gather(*few, *many)) - FEW


@benchmark("memory/timer", counts="timer", step=MANY, unit="B", fresh=True)
async def timer(job: Job) -> int:
    """A timer that is not yet due."""
    loop = asyncio.get_running_loop()
    handles = [loop.call_later(3600, int) for _ in range(FEW)]
    before = resident()
    handles += [loop.call_later(3600, int) for _ in range(job.n)]
    job.record(resident() - before)
    for handle in handles:
        handle.cancel()
    return len(handles) - FEW


@benchmark(
    "memory/connection", counts="connection", step=CONNECTIONS, unit="B", fresh=True, far_end=True
)
async def connection(job: Job) -> int:
    """An accepted TCP connection that is idle: socket, transport and an empty Protocol."""
    loop = asyncio.get_running_loop()
    transports: list[asyncio.Transport] = []
    arrived = asyncio.Event()
    wanted = FEW

    class Quiet(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transports.append(cast(asyncio.Transport, transport))
            if len(transports) == wanted:
                arrived.set()

    server = await loop.create_server(Quiet, "127.0.0.1", 0, backlog=1024)
    async with server:
        address = server.sockets[0].getsockname()
        async with crowd(job, address, FEW):
            await arrived.wait()
            before = resident()
            arrived.clear()
            wanted += job.n
            async with crowd(job, address, job.n):
                await arrived.wait()
                job.record(resident() - before)
        for transport in transports:
            transport.abort()
    return len(transports) - FEW
