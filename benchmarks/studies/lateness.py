"""How late the loop is: between the moment when something is due and the call that it is due to.

A program does not give way when the loop would like it. So the turns are a mix: most are short,
some take milliseconds, a few take 20, and now and then come 300 that are next to nothing, after
which a loop that seldom looks at its clock or at its poller may believe that all turns are so.
The mix is drawn from a seed, the same for all loops; the waits that a loop cannot help, the rest of
the turn in which something becomes due, are in every loop's figure.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.catalogue import benchmark
from benchmarks.job import LATE, Job, Shape

__all__ = ["Turn", "mix"]

SEED = 2
TURNS = 200  # in a sample: enough for a 99th percentile that is not the worst
LONGEST = 0.020  # seconds of a turn, and of a timer
SPELL = 300  # turns that do nothing, one after the other
BETWEEN_SPELLS = 40  # turns
REST = 0.004  # seconds for which the loop has nothing to do, after a spell

# How many turns of a hundred are of a kind, and the seconds that they take: from, to.
KINDS = ((75, 0.0, 50e-6), (18, 50e-6, 1e-3), (5, 1e-3, 5e-3), (2, 5e-3, LONGEST))

SHAPES = [Shape(percentile=50), Shape(percentile=99), Shape(percentile=100)]


@dataclass(frozen=True)
class Turn:
    """One turn of the program under test, in seconds."""

    seconds: float  # for which it computes
    send_after: float  # from its begin: when something arrives at the socket
    timer: float  # the delay of a timer that is set at its begin
    spell: bool  # whether a spell of short turns and a rest follow it


def mix(turns: int) -> Iterator[Turn]:
    """So many turns, drawn from the seed."""
    chance = random.Random(SEED)
    weights = [weight for weight, _, _ in KINDS]
    for number in range(1, turns + 1):
        ((_, least, most),) = chance.choices(KINDS, weights)
        seconds = chance.uniform(least, most)
        yield Turn(
            seconds,
            send_after=chance.uniform(0, seconds),
            timer=chance.uniform(0, LONGEST),
            spell=number % BETWEEN_SPELLS == 0,
        )


def compute(until: float) -> None:
    """Keep the processor until that time of `time.perf_counter`."""
    while time.perf_counter() < until:
        pass


async def end(turn: Turn) -> None:
    """Give way, as often as the turn says."""
    await asyncio.sleep(0)
    if turn.spell:
        for _ in range(SPELL):
            await asyncio.sleep(0)
        await asyncio.sleep(REST)


@benchmark("lateness/timers", counts="timer", shapes=SHAPES, step=TURNS, unit=LATE)
async def timers(job: Job) -> int:
    """How late timers of 0 to 20 ms are, beside turns of 0 to 20 ms: median, 99th, worst."""
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    all_struck = loop.create_future()

    def strike(due: float) -> None:
        delays.append(time.perf_counter() - due)
        if len(delays) == job.n:
            all_struck.set_result(None)

    for turn in mix(job.n):
        begin = time.perf_counter()
        loop.call_later(turn.timer, strike, begin + turn.timer)
        compute(begin + turn.seconds)
        await end(turn)
    await all_struck
    job.record_delays(delays)
    return len(delays)


class Clock(asyncio.Protocol):
    """Notes when each byte is received; they come in the order in which they were sent."""

    def __init__(self, wanted: int, all_received: asyncio.Future[None]) -> None:
        self.times: list[float] = []
        self._wanted = wanted
        self._all_received = all_received

    def data_received(self, data: bytes) -> None:
        """Note the time, for each byte."""
        self.times += [time.perf_counter()] * len(data)
        if len(self.times) == self._wanted:
            self._all_received.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits must not wait for ever."""
        if not self._all_received.done():
            self._all_received.set_exception(exc or ConnectionError("closed before all had come"))


def connected_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection of this process with itself; not every loop takes a Unix one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    near.setblocking(False)
    return near, far


@benchmark("lateness/io", counts="byte", shapes=SHAPES, step=TURNS, unit=LATE)
async def io(job: Job) -> int:
    """How late a Protocol receives what arrives in turns of 0 to 20 ms: median, 99th, worst."""
    loop = asyncio.get_running_loop()
    sent: list[float] = []
    all_received = loop.create_future()
    near, far = connected_pair()
    with far:
        transport, clock = await loop.create_connection(
            lambda: Clock(job.n, all_received), sock=near
        )
        try:
            for turn in mix(job.n):
                begin = time.perf_counter()
                compute(begin + turn.send_after)
                sent.append(time.perf_counter())
                far.send(b"!")
                compute(begin + turn.seconds)
                await end(turn)
            await all_received
        finally:
            transport.close()
    job.record_delays([late - early for early, late in zip(sent, clock.times, strict=True)])
    return len(clock.times)
