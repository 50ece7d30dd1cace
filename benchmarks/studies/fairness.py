"""Who gets a turn while tasks and callbacks are always ready: I/O, threads, and they themselves.

Figures are times: of one exchange, step or turn, seen by the one who waits for it. A loop that
serves the one at the expense of the other is fast in one row and slow in the other.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.catalogue import benchmark
from benchmarks.far_end import echo_details, exchange
from benchmarks.job import Job, Shape, WorkNotDoneError
from benchmarks.layers.echo import Echo, kept, messages, per_connection
from benchmarks.peers.control import FarEnd

TASKS = 10
SHAPE = Shape(size=1024, connections=10)
LONGEST = 1.0  # seconds that a thread is given for its turns
BATCH = 100 * SHAPE.connections  # messages in one order to the far end


@asynccontextmanager
async def busy() -> AsyncIterator[None]:
    """Ten tasks and a callback that are always ready, for the ``with``.

    Raises `WorkNotDoneError` where one of them had no turn.
    """
    loop = asyncio.get_running_loop()
    steps = [0] * (TASKS + 1)
    over = False

    async def give_way(place: int) -> None:
        while not over:
            steps[place] += 1
            await asyncio.sleep(0)

    def call_again() -> None:
        steps[TASKS] += 1
        if not over:
            loop.call_soon(call_again)

    tasks = [asyncio.create_task(give_way(place)) for place in range(TASKS)]
    loop.call_soon(call_again)
    try:
        yield
    finally:
        over = True
        await asyncio.gather(*tasks)
    if not all(steps):
        raise WorkNotDoneError(f"a task or the callback had no turn: {steps}")


@benchmark(
    "fairness/io-beside-tasks",
    counts="message",
    shapes=[SHAPE],
    step=per_connection,
    far_end=True,
)
async def io_beside_tasks(job: Job) -> int:
    """TCP echo on 10 connections, beside ten tasks and a callback that are always ready."""
    loop = asyncio.get_running_loop()
    served: list[Echo] = []
    server = await loop.create_server(kept(Echo, served), "127.0.0.1", 0)
    async with server, busy():
        await exchange(job, "tcp", server.sockets[0].getsockname())
    return messages(job, served)


@benchmark("fairness/tasks-beside-io", counts="step", shapes=[SHAPE], step=TASKS, far_end=True)
async def tasks_beside_io(job: Job) -> int:
    """Steps of ten tasks that are always ready, beside TCP echo on 10 connections."""
    loop = asyncio.get_running_loop()
    served: list[Echo] = []
    under_way, over = asyncio.Event(), threading.Event()
    done = 0

    def echo_until_over(details: dict[str, object]) -> None:
        """In a thread: one order after the other, so that nothing of it is the loop's."""
        try:
            while not over.is_set():
                with FarEnd(job.far_end) as far_end:
                    far_end.prepare("echo_client", job.far_end_processor, **details)
                    loop.call_soon_threadsafe(under_way.set)
                    far_end.go()
        finally:
            loop.call_soon_threadsafe(under_way.set)  # where it failed, `await echoes` tells

    async def give_way() -> None:
        nonlocal done
        for _ in range(job.n // TASKS):
            await asyncio.sleep(0)
        done += job.n // TASKS

    server = await loop.create_server(kept(Echo, served), "127.0.0.1", 0)
    async with server:
        details = echo_details(job, "tcp", server.sockets[0].getsockname())
        echoes = loop.run_in_executor(None, echo_until_over, {**details, "messages": BATCH})
        try:
            await under_way.wait()
            with job.timed():
                await asyncio.gather(*(give_way() for _ in range(TASKS)))
        finally:
            over.set()
            await echoes
    return done


@benchmark("fairness/thread-beside-tasks", counts="turn")
async def thread_beside_tasks(job: Job) -> int:
    """Another thread lets go of the interpreter and wants it back, beside tasks always ready.

    How long a turn takes is a matter of luck. A thread that waits for the interpreter asks for it
    when nobody has let go of it for 5 ms, and is woken whenever somebody does. A loop that does so
    at each poll, and has it back before the thread runs, keeps it from asking. So the turns end
    after `LONGEST`, and the figure is that of the turns that were taken until then.
    """
    loop = asyncio.get_running_loop()
    done = 0
    over = False

    def take_turns() -> None:
        nonlocal done
        while done < job.n and not over:
            time.sleep(0)
            done += 1

    await loop.run_in_executor(None, int)  # have the executor's thread started
    async with busy():
        cpu, start = time.process_time(), time.perf_counter()
        turns = loop.run_in_executor(None, take_turns)
        await asyncio.wait([turns], timeout=LONGEST)
        taken, seconds = done, time.perf_counter() - start
        cpu = time.process_time() - cpu
        over = True
    await turns
    if not taken:
        raise WorkNotDoneError(f"the thread had no turn in {LONGEST} s")
    each = job.n / taken  # of the turns asked for, to one of those taken
    job.record(seconds * each, cpu=cpu * each)
    return job.n
