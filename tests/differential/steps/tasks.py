"""Steps that work on tasks: making, cancelling, time limits, groups."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.differential.language import Act, Await, Block, Child, Target, node, seconds
from tests.differential.ordered import OrderedTaskGroup
from tests.differential.world import World, pick

__all__ = [
    "Cancel",
    "CancelMe",
    "Group",
    "GroupSpawn",
    "Reschedule",
    "Spawn",
    "Timeout",
    "Uncancel",
]


@node
class Spawn(Act):
    """A new task.

    `how` is "plain"; "eager", by `asyncio.eager_task_factory`; "foreign", an `asyncio.Task` that
    the loop did not make; or "shared", in one of the program's own contexts.
    """

    body: Block
    how: str

    def do(self, world: World, who: str) -> Any:
        number, coro = world.start(Child(self.body))
        name = f"t{number}"
        try:
            task = self._create(world, coro, name)
        except BaseException:
            coro.close()
            raise
        world.know(number, task, named=True)
        return task

    def _create(self, world: World, coro: Any, name: str) -> Any:
        loop = world.loop
        factory = loop.get_task_factory()
        if self.how == "eager":
            loop.set_task_factory(asyncio.eager_task_factory)
            try:
                return loop.create_task(coro, name=name)
            finally:
                loop.set_task_factory(factory)
        if self.how == "foreign":
            return asyncio.Task(coro, loop=loop, name=name)
        if self.how == "shared" and factory is None:
            return loop.create_task(coro, name=name, context=pick(world.contexts, len(name)))
        return loop.create_task(coro, name=name)


@node
class Cancel(Act):
    """`cancel(msg)` on a future or a task."""

    target: Target
    message: str | None

    def do(self, world: World, who: str) -> Any:
        target = world.find(self.target)
        return "nobody" if target is None else target.cancel(self.message)


@node
class CancelMe(Act):
    """`current_task().cancel(msg)`: it takes effect at the next suspension."""

    message: str | None

    def do(self, world: World, who: str) -> Any:
        task = world.current_task()
        return "nobody" if task is None else task.cancel(self.message)


@node
class Uncancel(Act):
    """`task.uncancel()`; of the current task if `task` is None."""

    task: int | None

    def do(self, world: World, who: str) -> Any:
        number = self.task
        task = world.current_task() if number is None else world.find(Target(True, number))
        if not isinstance(task, asyncio.Task):
            return "no task"
        return [task.uncancel(), task.cancelling()]


@node
class Timeout(Await):
    """`async with timeout(delay)`"""

    delay: int | None
    body: Block

    async def run(self, world: World, who: str) -> Any:
        async with asyncio.timeout(seconds(self.delay)) as timeout:
            world.timeouts.append(timeout)
            await world.run(who, self.body)
        return timeout.expired()


@node
class Reschedule(Act):
    """`Timeout.reschedule`, in ticks from now, or never; of one of the timeouts so far."""

    timeout: int
    delay: int | None

    def do(self, world: World, who: str) -> Any:
        timeout = pick(world.timeouts, self.timeout)
        if timeout is None:
            return "nothing"
        delay = seconds(self.delay)
        timeout.reschedule(None if delay is None else world.loop.time() + delay)
        return [timeout.when(), timeout.expired()]


@node
class Group(Await):
    """`async with TaskGroup()`: the children, then the body."""

    children: tuple[Child, ...]
    body: Block

    async def run(self, world: World, who: str) -> Any:
        async with OrderedTaskGroup() as group:
            world.groups.append(group)
            for child in self.children:
                _create_in(world, group, child)
            await world.run(who, self.body)


@node
class GroupSpawn(Act):
    """`create_task` of one of the task groups so far, open or not."""

    group: int
    body: Block

    def do(self, world: World, who: str) -> Any:
        group = pick(world.groups, self.group)
        return "no group" if group is None else _create_in(world, group, Child(self.body))


def _create_in(world: World, group: asyncio.TaskGroup, child: Child) -> Any:
    number, coro = world.start(child)
    try:
        task = group.create_task(coro, name=f"t{number}")
    except BaseException:
        coro.close()
        raise
    world.know(number, task, named=True)
    return task
