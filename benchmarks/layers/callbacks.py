"""Callbacks: what it costs to have the loop call a function, now or later."""

from __future__ import annotations

import asyncio
import threading

from benchmarks.catalogue import benchmark
from benchmarks.job import Job

BURST = 1000


@benchmark("callbacks/call-soon-chain", counts="call")
async def call_soon_chain(job: Job) -> int:
    """A callback that schedules itself: one entry in the ready queue, one turn of the loop each."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if done < job.n:
            loop.call_soon(step)
        else:
            finished.set_result(None)

    with job.timed():
        loop.call_soon(step)
        await finished
    return done


@benchmark("callbacks/call-soon-burst", counts="call", step=BURST)
async def call_soon_burst(job: Job) -> int:
    """A thousand callbacks in one turn, over and over: the price of one without a turn."""
    loop = asyncio.get_running_loop()
    done = 0

    def step() -> None:
        nonlocal done
        done += 1

    with job.timed():
        for _ in range(job.n // BURST):
            for _ in range(BURST):
                loop.call_soon(step)
            await asyncio.sleep(0)
    return done


@benchmark("callbacks/call-soon-arguments", counts="call", step=BURST)
async def call_soon_arguments(job: Job) -> int:
    """The same burst, with three arguments to hand over."""
    loop = asyncio.get_running_loop()
    done = 0

    def step(one: int, two: int, three: int) -> None:
        nonlocal done
        done += three - two

    with job.timed():
        for _ in range(job.n // BURST):
            for _ in range(BURST):
                loop.call_soon(step, 1, 2, 3)
            await asyncio.sleep(0)
    return done


@benchmark("callbacks/call-soon-threadsafe", counts="call", step=BURST)
async def call_soon_threadsafe(job: Job) -> int:
    """A burst by the thread-safe way in, from the loop's own thread: the loop is awake."""
    loop = asyncio.get_running_loop()
    done = 0

    def step() -> None:
        nonlocal done
        done += 1

    with job.timed():
        for _ in range(job.n // BURST):
            for _ in range(BURST):
                loop.call_soon_threadsafe(step)
            await asyncio.sleep(0)
    return done


@benchmark("callbacks/thread-wakes-loop", counts="round trip")
async def thread_wakes_loop(job: Job) -> int:
    """Another thread wakes a sleeping loop, waits until its callback ran, and does it again."""
    loop = asyncio.get_running_loop()
    ran = threading.Semaphore(0)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        ran.release()

    def knock() -> None:
        for _ in range(job.n):
            loop.call_soon_threadsafe(step)
            ran.acquire()

    await loop.run_in_executor(None, int)  # have the executor's thread started
    with job.timed():
        await loop.run_in_executor(None, knock)
    return done


@benchmark("callbacks/timer-cancelled", counts="timer", step=BURST)
async def timer_cancelled(job: Job) -> int:
    """Timers that are set and called off, as every timeout that does not strike."""
    loop = asyncio.get_running_loop()
    done = 0

    def strike() -> None:
        raise AssertionError("a timer that was cancelled has fired")

    with job.timed():
        for _ in range(job.n // BURST):
            for _ in range(BURST):
                loop.call_later(60, strike).cancel()
                done += 1
            await asyncio.sleep(0)
    return done


@benchmark("callbacks/timer-fired", counts="timer", step=BURST)
async def timer_fired(job: Job) -> int:
    """A thousand timers, due at once and set in no order, that all fire."""
    loop = asyncio.get_running_loop()
    done = 0

    def strike(last: asyncio.Future[None] | None) -> None:
        nonlocal done
        done += 1
        if last is not None:
            last.set_result(None)

    with job.timed():
        for _ in range(job.n // BURST):
            start = loop.time()
            for number in range(BURST - 1):
                # 617 and 1000 have no common divisor: each of the places is taken once.
                loop.call_at(start - (number * 617 % BURST) * 1e-6, strike, None)
            last = loop.create_future()
            loop.call_at(start, strike, last)
            await last
    return done
