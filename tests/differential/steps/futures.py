"""Steps that work on futures, and on tasks as futures: finishing, asking, waiting."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from typing import Any

from tests.differential.language import Act, Acts, Await, Child, Target, node, seconds
from tests.differential.world import ERRORS, Callback, World, answers, pick

__all__ = [
    "AddDoneCallback",
    "Ask",
    "AwaitIt",
    "Gather",
    "Misuse",
    "RemoveDoneCallback",
    "SetException",
    "SetResult",
    "Shield",
    "StartGather",
    "StartShield",
    "Wait",
    "WaitFor",
]


# ---- finishing and asking --------------------------------------------------------------------


@node
class SetResult(Act):
    """`future.set_result`"""

    future: int
    value: int

    def do(self, world: World, who: str) -> Any:
        return pick(world.futures, self.future).set_result(self.value)


@node
class SetException(Act):
    """`future.set_exception`, with an instance or (`bare`) a class."""

    future: int
    error: str
    bare: bool

    def do(self, world: World, who: str) -> Any:
        error = ERRORS[self.error] if self.bare else world.make_error(self.error, who)
        return pick(world.futures, self.future).set_exception(error)


@node
class Ask(Act):
    """Everything that a future or task answers: done, cancelled, result, exception."""

    target: Target

    def do(self, world: World, who: str) -> Any:
        target = world.find(self.target)
        return "nobody" if target is None else answers(target)


@node
class AddDoneCallback(Act):
    """`add_done_callback`, of a callback that first (`asks`) asks the future what became of it."""

    target: Target
    asks: bool
    acts: Acts

    def do(self, world: World, who: str) -> Any:
        target = world.find(self.target)
        if target is None:
            return "nobody"
        callback = Callback(world, f"c{world.next_number()}", self.acts, self.asks)
        world.callbacks.append((target, callback))
        return target.add_done_callback(callback)


@node
class RemoveDoneCallback(Act):
    """`remove_done_callback`, of a callback that was added before."""

    callback: int

    def do(self, world: World, who: str) -> Any:
        if not world.callbacks:
            return "nothing"
        target, callback = pick(world.callbacks, self.callback)
        return target.remove_done_callback(callback)


# ---- waiting ---------------------------------------------------------------------------------


@node
class AwaitIt(Await):
    """`await target`"""

    target: Target

    async def run(self, world: World, who: str) -> Any:
        target = world.find_younger(self.target)
        return "nobody" if target is None else await target


@node
class Shield(Await):
    """`await shield(...)`"""

    target: Target | Child

    async def run(self, world: World, who: str) -> Any:
        target = world.awaitable(self.target)
        return "nobody" if target is None else await asyncio.shield(target)


@node
class StartShield(Act):
    """`shield` of a new task, not awaited here: what it returns counts as a task."""

    child: Child

    def do(self, world: World, who: str) -> Any:
        number, coro = world.start(self.child)
        future = asyncio.shield(coro)
        world.know(number, future)
        return future


@node
class Gather(Await):
    """`await gather(...)`"""

    targets: tuple[Target | Child, ...]
    return_exceptions: bool

    async def run(self, world: World, who: str) -> Any:
        targets = [world.awaitable(target) for target in self.targets]
        return await asyncio.gather(
            *(target for target in targets if target is not None),
            return_exceptions=self.return_exceptions,
        )


@node
class StartGather(Act):
    """`gather` of new tasks, not awaited here: what it returns counts as a task."""

    children: tuple[Child, ...]
    return_exceptions: bool

    def do(self, world: World, who: str) -> Any:
        started = [world.start(child) for child in self.children]
        future = asyncio.gather(
            *(coro for _, coro in started), return_exceptions=self.return_exceptions
        )
        world.know(started[0][0] if started else world.next_number(), future)
        return future


@node
class Wait(Await):
    """`await wait(...)`; `until` is the name of one of asyncio's constants."""

    targets: tuple[Target, ...]
    timeout: int | None
    until: str

    async def run(self, world: World, who: str) -> Any:
        found = [world.find_younger(target) for target in self.targets]
        known = [target for target in found if target is not None]
        try:
            done, pending = await asyncio.wait(
                known,
                timeout=seconds(self.timeout),
                return_when=getattr(asyncio, self.until),
            )
        finally:
            # Of several that are done, `wait` looks at those that come first in a set. Look at all.
            for target in known:
                if target.done() and not target.cancelled():
                    target.exception()
        return [len(done), len(pending)]


@node
class WaitFor(Await):
    """`await wait_for(...)`"""

    target: Target | Child
    timeout: int | None

    async def run(self, world: World, who: str) -> Any:
        target = world.awaitable(self.target)
        return "nobody" if target is None else await asyncio.wait_for(target, seconds(self.timeout))


@node
class Misuse(Await):
    """Yield to the task what no task can wait for.

    `how` is "object"; "unasked", a future that was not asked to block; "done", one that was but is
    done; or "generator".
    """

    how: str

    async def run(self, world: World, who: str) -> Any:
        future = world.loop.create_future()
        if self.how == "object":
            return await _yield_bare("what no task knows")
        if self.how == "unasked":
            return await _yield_bare(future)
        if self.how == "done":
            future.set_result("done already")
            future._asyncio_future_blocking = True
            return await _yield_bare(future)
        return await _yield_bare(number for number in range(3))


@types.coroutine
def _yield_bare(thing: Any) -> Generator[Any, Any, Any]:
    return (yield thing)
