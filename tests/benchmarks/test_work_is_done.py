"""Each benchmark, once and small, on both loops: it does the work that it claims, or says so."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import math

import pytest

from benchmarks import catalogue, limits, loops
from benchmarks.catalogue import Program, Row
from benchmarks.job import Job, Shape, WorkNotDoneError
from benchmarks.machine import open_many_files
from benchmarks.runner import Contestant, Worker
from tests.conftest import LoopFactory


def smallest_of_each() -> list[tuple[Row, Program]]:
    """Every program in its smallest shape: the others run the same code on more."""
    found: dict[object, tuple[Row, Program]] = {}
    for row in catalogue.all_rows():
        for program in row.programs:
            found.setdefault(program.body, (row, program))
    return list(found.values())


@pytest.mark.parametrize(
    ("row", "program"),
    [
        pytest.param(row, program, id=f"{row.name} {program.name}".strip())
        for row, program in smallest_of_each()
        if not row.fresh  # those are weighed below
    ],
)
@pytest.mark.timeout(60)
# A benchmark is over when its work is counted. A connection that the far end has not closed by then
# ends with the loop, which complains of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_benchmark_does_what_it_counts(
    row: Row, program: Program, loop_factory: LoopFactory, far_end: tuple[str, int]
) -> None:
    for module in program.requires:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    if program.loops and loop_factory is not asyncio.new_event_loop:
        pytest.skip(f"{program.name} runs on {program.loops} only")
    open_many_files()
    n = row.step * math.ceil(10 / row.step)
    job = Job(n, row.shape, far_end if row.far_end else None)

    async def body() -> int:
        return await program.body(job)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        sample = job.finish(runner.run(body()))  # it compares the count, and raises
    gc.collect()  # here, and not in a test that would be blamed for it
    assert sample.n == n
    assert sample.value > 0


@pytest.mark.parametrize("loop", ["asyncio", "miniloop"])
@pytest.mark.parametrize("name", ["memory/task", "memory/timer", "memory/connection"])
@pytest.mark.timeout(60)
def test_memory_is_weighed_in_a_new_process(name: str, loop: str, far_end: tuple[str, int]) -> None:
    (row,) = catalogue.select([name])
    who = Contestant(loop, row.programs[0], loops.find(loop))
    with Worker(row, who, far_end) as worker:
        sample = worker.sample(row.step, 30)
    assert 50 < sample.value / sample.n < 20_000  # bytes


@pytest.mark.parametrize("name", ["epoll-python", "epoll-c"])
@pytest.mark.parametrize("kind", ["tcp", "unix", "udp", "visits"])
@pytest.mark.parametrize("size", [1024, 60_000])
def test_limits_echo_what_they_are_sent(
    name: str, kind: str, size: int, far_end: tuple[str, int]
) -> None:
    loop = loops.find(name)
    job = Job(30, Shape(size=size, connections=3), far_end)
    sample = job.finish(limits.measure(loop.load(), kind, job))
    assert sample.value > 0


def test_large_messages_that_do_not_fit_the_socket_come_back_whole(
    far_end: tuple[str, int],
) -> None:
    for name in ("epoll-python", "epoll-c"):
        job = Job(4, Shape(size=8 * 1024 * 1024, connections=2), far_end)
        job.finish(limits.measure(loops.find(name).load(), "unix", job))


def test_doing_less_is_an_error() -> None:
    job = Job(10)
    with job.timed():
        pass
    with pytest.raises(WorkNotDoneError, match="9 operations were done where 10"):
        job.finish(9)


def test_measuring_nothing_is_an_error() -> None:
    with pytest.raises(WorkNotDoneError, match="measured nothing"):
        Job(1).finish(1)


def test_measuring_twice_is_an_error() -> None:
    job = Job(1)
    with job.timed():
        pass
    with pytest.raises(RuntimeError, match="measured once"), job.timed():
        pass


def test_job_without_far_end_says_how_to_get_one() -> None:
    with pytest.raises(LookupError, match="far_end=True"):
        _ = Job(1).far_end
