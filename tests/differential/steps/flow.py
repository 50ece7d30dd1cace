"""Steps that say what comes next: sleeping, raising, catching, asynchronous generators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from tests.differential.language import TICK, Act, Await, Block, node
from tests.differential.world import World, pick

__all__ = ["CloseGenerator", "Iterate", "NextItem", "Raise", "Sleep", "Try"]

_CAUGHT: dict[str, type[BaseException]] = {
    "CancelledError": asyncio.CancelledError,
    "Exception": Exception,
    "BaseException": BaseException,
}


@node
class Sleep(Await):
    """`asyncio.sleep`, in ticks; 0 gives up the turn and no more."""

    delay: int

    async def run(self, world: World, who: str) -> Any:
        return await asyncio.sleep(self.delay * TICK, self.delay)


@node
class Raise(Act):
    """Raise an exception, by the name of its kind: see `world.ERRORS`."""

    error: str

    raises = True

    def do(self, world: World, who: str) -> Any:
        raise world.make_error(self.error, who)


@node
class Try(Await):
    """`try: body except catch: handler finally: final`; `catch` names a class, or is None."""

    body: Block
    catch: str | None
    handler: Block
    final: Block

    async def run(self, world: World, who: str) -> Any:
        try:
            await self._try(world, who)
        except GeneratorExit:
            raise  # the coroutine is thrown away: nothing may be awaited any more
        except BaseException:
            await world.run(who, self.final)
            raise
        await world.run(who, self.final)

    async def _try(self, world: World, who: str) -> None:
        try:
            await world.run(who, self.body)
        except GeneratorExit:
            raise
        except BaseException as error:
            if self.catch is None or not isinstance(error, _CAUGHT[self.catch]):
                raise
            world.note(who, "catches", error)
            await world.run(who, self.handler)


@node
class Iterate(Await):
    """`async for` over a generator that does `body` and yields, `count` times.

    Left after `take` items. Then the generator is dropped, or (`keep`) may be gone on with.
    """

    body: Block
    count: int
    take: int
    keep: bool

    async def run(self, world: World, who: str) -> Any:
        items = []
        generator = self._generate(world, f"g{world.next_number()}")
        if self.keep:
            world.generators.append(generator)
        try:
            async for item in generator:
                items.append(item)
                if len(items) >= self.take:
                    break
        finally:
            # So that no traceback keeps it: asyncio's futures in C forget the traceback of their
            # exception when they are asked for the second time, and ours never do.
            del generator
        return items

    async def _generate(self, world: World, name: str) -> AsyncGenerator[int, None]:
        world.note(name, "begins", world.current_task())
        try:
            for item in range(self.count):
                await world.run(name, self.body)
                yield item
        except GeneratorExit:
            world.note(name, "is closed", world.current_task())
            if not world.recorder.over:
                await asyncio.sleep(0)
                world.note(name, "has cleaned up", world.current_task())
            raise


@node
class NextItem(Await):
    """`await anext(...)` of a generator that was kept."""

    generator: int

    async def run(self, world: World, who: str) -> Any:
        generator = pick(world.generators, self.generator)
        return "nothing" if generator is None else await anext(generator)


@node
class CloseGenerator(Await):
    """`await generator.aclose()` of a generator that was kept."""

    generator: int

    async def run(self, world: World, who: str) -> Any:
        generator = pick(world.generators, self.generator)
        return "nothing" if generator is None else await generator.aclose()
