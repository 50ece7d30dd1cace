"""What a running program has, and how its steps are done one after the other."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from tests.differential.language import Act, Acts, Await, Block, Child, Target
from tests.differential.ordered import OrderedTaskGroup
from tests.differential.trace import ProgramError, ProgramExit, ProgramInterrupt, Recorder

__all__ = ["ERRORS", "VARIABLES", "Callback", "World", "answers", "pick", "variables"]

VARIABLES = [contextvars.ContextVar[int](name, default=0) for name in ("red", "blue")]

ERRORS: dict[str, type[BaseException]] = {
    "error": ProgramError,
    "exit": ProgramExit,
    "cancelled": asyncio.CancelledError,
    "timeout": TimeoutError,
    "stop iteration": StopIteration,
    "stop async iteration": StopAsyncIteration,
    "system exit": SystemExit,
    "interrupt": ProgramInterrupt,
}


class World:
    """The things that a program works on. `note` writes into its trace."""

    def __init__(self, loop: Any, recorder: Recorder) -> None:
        self.loop = loop
        self.recorder = recorder
        self.note = recorder.note
        # The last one is of asyncio's make on any loop.
        self.futures: list[Any] = [loop.create_future() for _ in range(3)]
        self.futures.append(asyncio.Future(loop=loop))
        recorder.labels.update((future, f"f{n}") for n, future in enumerate(self.futures))
        # What one can wait for, and how old it is: the number of the oldest task in it.
        self.tasks: list[tuple[int, Any]] = []
        self.named: list[asyncio.Task[Any]] = []
        self.handles: list[Any] = []
        self.callbacks: list[tuple[Any, Callback]] = []
        self.contexts = [contextvars.copy_context() for _ in range(2)]
        self.locks = [asyncio.Lock() for _ in range(2)]
        self.semaphores = [asyncio.Semaphore(1), asyncio.BoundedSemaphore(2)]
        self.events = [asyncio.Event() for _ in range(2)]
        self.conditions = [asyncio.Condition() for _ in range(2)]
        self.barrier = asyncio.Barrier(2)
        self.queues = [asyncio.Queue[str](1), asyncio.PriorityQueue[str](2)]
        self.timeouts: list[asyncio.Timeout] = []
        self.groups: list[OrderedTaskGroup] = []
        self.generators: list[AsyncGenerator[Any, None]] = []
        self._made = 0

    # Doing steps.

    def do(self, who: str, act: Act) -> None:
        """Do one act, and note what came of it."""
        try:
            outcome = act.do(self, who)
        except Exception as error:
            if act.raises:
                raise
            outcome = error
        self.note(who, type(act).__name__, outcome)

    async def run(self, who: str, block: Block) -> None:
        """Do one step after the other, and note what came of each."""
        for step in block:
            if self.recorder.over:
                raise GeneratorExit  # a coroutine that never ended is being thrown away
            if isinstance(step, Act):
                self.do(who, step)
                continue
            assert isinstance(step, Await)
            name = type(step).__name__
            try:
                outcome = await step.run(self, who)
            except GeneratorExit:
                raise
            except BaseException as error:
                self.note(who, name, error)
                raise
            self.note(who, name, outcome)

    async def body(self, number: int, block: Block) -> int:
        """A whole coroutine: the steps, and then its number as the result."""
        who = f"t{number}"
        self.know(number, self.current_task())
        self.note(who, "begins", [self.current_task(), variables()])
        try:
            await self.run(who, block)
        except GeneratorExit:
            raise
        except BaseException as error:
            self.note(who, "fails", error)
            raise
        self.note(who, "returns")
        return number

    def start(self, child: Child) -> tuple[int, Coroutine[Any, Any, int]]:
        """The coroutine of a child, not begun, and its number."""
        number = self.next_number()
        return number, self.body(number, child.body)

    # Finding what they name.

    def next_number(self) -> int:
        """Numbers go up: a task with a greater one is younger."""
        self._made += 1
        return self._made

    def know(self, number: int, task: Any, *, named: bool = False) -> None:
        """Remember a task, or a future made of tasks, unless it is known already."""
        if task not in self.recorder.labels:
            self.recorder.labels[task] = f"t{number}"
            self.tasks.append((number, task))
        if named:
            self.named.append(task)

    def current_task(self) -> Any:
        """The task that runs, or None in a callback."""
        return asyncio.current_task(self.loop)

    def find(self, target: Target) -> Any:
        """The future or task that is meant, or None if there is none yet."""
        if not target.task:
            return pick(self.futures, target.number)
        return pick([task for _, task in self.tasks], target.number)

    def find_younger(self, target: Target) -> Any:
        """The same for who waits for it: of the tasks, only those younger than the current one."""
        if not target.task:
            return pick(self.futures, target.number)
        age = self._age()
        return pick([task for number, task in self.tasks if number > age], target.number)

    def awaitable(self, target: Target | Child) -> Any:
        """What to hand to `gather` and the like; None if there is nothing of that kind."""
        return self.start(target)[1] if isinstance(target, Child) else self.find_younger(target)

    def _age(self) -> int:
        task = self.current_task()
        for number, known in self.tasks:
            if known is task:
                return number
        # A task that the loop made by itself; it came after all that are there.
        return self._made

    def make_error(self, kind: str, who: str) -> BaseException:
        """An exception that says who raised it."""
        return ERRORS[kind](f"by {who}")


class Callback:
    """Does acts when it is called; one can be told from another when it is to be removed."""

    def __init__(self, world: World, name: str, acts: Acts, asks: bool = False) -> None:
        self._world = world
        self._name = name
        self._acts = acts
        self._asks = asks

    def __call__(self, *futures: Any) -> None:
        world, name = self._world, self._name
        world.note(name, "called", [world.current_task(), variables(), *futures])
        if self._asks:
            for future in futures:
                world.note(name, "asks", answers(future))
        for act in self._acts:
            world.do(name, act)


def pick(things: list[Any], number: int) -> Any:
    """The thing of that number, counted round; None if there is nothing."""
    return things[number % len(things)] if things else None


def variables() -> list[int]:
    """The context variables as they are here."""
    return [variable.get() for variable in VARIABLES]


def answers(target: Any) -> list[Any]:
    """All that a future or task says of itself."""
    found = [target.done(), target.cancelled()]
    for question in (target.exception, target.result):
        try:
            found.append(question())
        except BaseException as error:
            found.append(error)
    return found
