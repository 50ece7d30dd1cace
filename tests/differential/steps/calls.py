"""Steps that work on the loop itself: calls, handles, context variables, a look around."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.differential.language import Act, Acts, node, seconds
from tests.differential.world import VARIABLES, Callback, World, pick, variables

__all__ = ["CallAt", "CallLater", "CallSoon", "CancelHandle", "Look", "SetVariable", "Stop"]


def _callback(world: World, acts: Acts) -> Callback:
    return Callback(world, f"c{world.next_number()}", acts)


@node
class CallSoon(Act):
    """`call_soon` or `call_soon_threadsafe`, perhaps in one of the program's own contexts."""

    acts: Acts
    threadsafe: bool
    context: int | None

    def do(self, world: World, who: str) -> Any:
        method = world.loop.call_soon_threadsafe if self.threadsafe else world.loop.call_soon
        context = None if self.context is None else pick(world.contexts, self.context)
        world.handles.append(method(_callback(world, self.acts), context=context))


@node
class CallLater(Act):
    """`call_later`, in ticks; negative is allowed."""

    delay: int
    acts: Acts

    def do(self, world: World, who: str) -> Any:
        handle = world.loop.call_later(seconds(self.delay), _callback(world, self.acts))
        world.handles.append(handle)
        return handle.when()


@node
class CallAt(Act):
    """`call_at`, in ticks from the beginning, so that it may be in the past."""

    when: int
    acts: Acts

    def do(self, world: World, who: str) -> Any:
        handle = world.loop.call_at(seconds(self.when), _callback(world, self.acts))
        world.handles.append(handle)
        return handle.when()


@node
class CancelHandle(Act):
    """`handle.cancel()`"""

    handle: int

    def do(self, world: World, who: str) -> Any:
        handle = pick(world.handles, self.handle)
        return "nothing" if handle is None else handle.cancel()


@node
class Stop(Act):
    """`loop.stop()`; the driver starts it again."""

    def do(self, world: World, who: str) -> Any:
        return world.loop.stop()


@node
class SetVariable(Act):
    """`ContextVar.set`"""

    variable: int
    value: int

    def do(self, world: World, who: str) -> Any:
        pick(VARIABLES, self.variable).set(self.value)
        return variables()


@node
class Look(Act):
    """Note everything there is: who runs, each variable, future, task, handle, lock and queue."""

    def do(self, world: World, who: str) -> Any:
        return [
            world.current_task(),
            asyncio.all_tasks(world.loop),
            variables(),
            [_state(future) for future in world.futures],
            [_state(task) for _, task in world.tasks],
            [handle.cancelled() for handle in world.handles],
            [lock.locked() for lock in world.locks],
            [semaphore.locked() for semaphore in world.semaphores],
            [condition.locked() for condition in world.conditions],
            [event.is_set() for event in world.events],
            [queue.qsize() for queue in world.queues],
            [world.barrier.n_waiting, world.barrier.broken],
            [world.loop.is_running(), world.loop.is_closed()],
        ]


def _state(future: Any) -> str:
    state = "cancelled" if future.cancelled() else "done" if future.done() else "pending"
    requests = future.cancelling() if isinstance(future, asyncio.Task) else 0
    return f"{state} {requests}" if requests else state
