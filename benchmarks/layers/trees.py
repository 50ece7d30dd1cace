"""Trees of tasks: each has six children and waits for all of them, four levels deep.

The shapes are those of pyperformance's ``async_tree`` family, smaller, so that a tree takes some
milliseconds: leaves that do nothing, that wait, that mostly find their answer remembered, that
compute or wait by turns; children held by `gather`, by a `TaskGroup`, or started eagerly.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable

from benchmarks.catalogue import benchmark
from benchmarks.job import Job

BRANCHES = 6
LEVELS = 4
TASKS = sum(BRANCHES**level for level in range(1, LEVELS + 1))
LEAVES = BRANCHES**LEVELS
WAIT = 0.001  # seconds that an answer from outside takes

Leaf = Callable[[int], Awaitable[None]]


async def _nothing(_number: int) -> None:
    """A leaf without any work of its own."""


async def _wait(_number: int) -> None:
    await asyncio.sleep(WAIT)


async def _compute_or_wait(number: int) -> None:
    if number % 2:
        math.factorial(500)
    else:
        await asyncio.sleep(WAIT)


async def _grow(job: Job, leaf: Leaf, group: bool = False) -> int:
    """Grow whole trees until there were `job.n` tasks; returns how many tasks there were."""
    tasks = leaves = 0

    async def node(level: int) -> None:
        nonlocal tasks, leaves
        tasks += 1
        if level == 0:
            leaves += 1
            await leaf(leaves)
        elif group:
            async with asyncio.TaskGroup() as children:
                for _ in range(BRANCHES):
                    children.create_task(node(level - 1))
        else:
            await asyncio.gather(*(node(level - 1) for _ in range(BRANCHES)))

    with job.timed():
        for _ in range(job.n // TASKS):
            await node(LEVELS)
            tasks -= 1  # the root is no task: it is awaited right here
    return tasks


@benchmark("callbacks/tree/none", counts="task", step=TASKS)
async def tree_none(job: Job) -> int:
    """A tree of tasks whose leaves do nothing."""
    return await _grow(job, _nothing)


@benchmark("callbacks/tree/task-group", counts="task", step=TASKS)
async def tree_task_group(job: Job) -> int:
    """The tree whose leaves do nothing, held by task groups."""
    return await _grow(job, _nothing, group=True)


@benchmark("callbacks/tree/io", counts="task", step=TASKS)
async def tree_io(job: Job) -> int:
    """A tree of tasks whose leaves wait for 1 ms: that much of each tree is not the loop's."""
    return await _grow(job, _wait)


@benchmark("callbacks/tree/memoization", counts="task", step=TASKS)
async def tree_memoization(job: Job) -> int:
    """A tree of tasks whose leaves ask one of 1 + LEAVES/10 questions; the first to ask waits."""
    answers: set[int] = set()

    async def recall(number: int) -> None:
        # Nine of ten leaves ask the same question, one of ten asks one of its own.
        question = number if number % 10 == 0 else 0
        if question not in answers:
            await asyncio.sleep(WAIT)
            answers.add(question)

    return await _grow(job, recall)


@benchmark("callbacks/tree/cpu-io-mixed", counts="task", step=TASKS)
async def tree_cpu_io_mixed(job: Job) -> int:
    """A tree of tasks of whose leaves half wait for 1 ms and half compute 500!."""
    return await _grow(job, _compute_or_wait)


if sys.version_info >= (3, 12):

    @benchmark("callbacks/tree/eager", counts="task", step=TASKS)
    async def tree_eager(job: Job) -> int:
        """The tree whose leaves do nothing, all of its tasks started eagerly."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        try:
            return await _grow(job, _nothing)
        finally:
            loop.set_task_factory(None)
