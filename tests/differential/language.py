"""A tiny language of asyncio programs.

A program is data: a tree of *steps*. That is what lets it be made at random, run on any loop,
printed, and made smaller when it has found something. Its text is its `repr`, and that is valid
Python: copy a program from a failure into a regression test.

There are two kinds of step. An *act* is done at once, and so may stand in a callback as well as in
a coroutine. An *await* may suspend, and only stands in a coroutine. Steps name what they work on by
number, counted round what there is just then, so that every tree is a program that makes sense.
The steps themselves are in `steps`, each with how it is done.

What is left out, and why:

- Real input and output, threads, processes and signals: their order is the kernel's.
- Waiting for an *older* task. A ring of tasks that await each other never ends, and cancelling
  it recurs without end, on any loop. So a task waits for younger ones only; see `Target`.
- `as_completed`: it goes through a set, and so in the order of addresses in memory.
- Callbacks that take long, as seen on the clock. miniloop reads the clock, like the kernel, not on
  every turn while there is work, so a timer that becomes due *within* a run of turns may fire some
  turns later than on asyncio (`MOST_TURNS` in `miniloop.kernel.scheduler` says how many).
- A task that awaits itself. It gets its RuntimeError, but asyncio's task in C then still counts as
  being awaited, and the next one who awaits it gets another.
- An eager task in a context that is entered already. asyncio raises where it is created, and then
  takes it for the current task; miniloop fails the task.
- Names, during the first step of an eager task: asyncio names the task after that.
- On Python 3.11 and 3.12, `Future.set_exception` with a StopIteration. Their asyncio refuses it
  (from 3.13 on, and in later releases of 3.12, the future fails with a RuntimeError), which leaves
  those waiting who should learn of it. miniloop does on every Python what 3.13 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from tests.differential.world import World

__all__ = [
    "TICK",
    "Act",
    "Acts",
    "Await",
    "Block",
    "CancelAt",
    "Child",
    "Knock",
    "Program",
    "Step",
    "Target",
    "node",
    "seconds",
]

T = TypeVar("T")

# Seconds in a unit of virtual time: a power of two, so that sums are exact in binary.
TICK = 1 / 16


@dataclass_transform(frozen_default=True)
def node(kind: type[T]) -> type[T]:
    """A class of plain values: with a `repr` to copy, comparable, and unchangeable."""
    return dataclass(frozen=True, slots=True)(kind)


def seconds(ticks: int | None) -> float | None:
    """Ticks in seconds."""
    return None if ticks is None else ticks * TICK


class Step:
    """Anything that a program may do."""

    __slots__ = ()


class Act(Step):
    """Done at once, in a coroutine or a callback."""

    __slots__ = ()

    # An exception that an act meets is its outcome, and the program goes on. Unless it is raised.
    raises: ClassVar[bool] = False

    def do(self, world: World, who: str) -> Any:
        """Do it, and return what there is to note."""
        raise NotImplementedError


class Await(Step):
    """May suspend the coroutine in which it stands. What it raises, the coroutine raises."""

    __slots__ = ()

    async def run(self, world: World, who: str) -> Any:
        """Do it, and return what there is to note."""
        raise NotImplementedError


Block = tuple[Step, ...]
Acts = tuple[Act, ...]


@node
class Target:
    """A future (`task` false) or a task. Who waits for a task, waits for a younger one."""

    task: bool
    number: int


@node
class Child:
    """A coroutine that has not begun; whoever is given it makes it a task, or does not."""

    body: Block


@node
class CancelAt:
    """Cancel a task at the beginning of a turn, from outside: after what led to it, before it."""

    turn: int
    task: int
    message: str | None


@node
class Knock:
    """From another thread, while the loop sleeps: `call_soon_threadsafe`, at a time in ticks."""

    at: int
    acts: Acts


@node
class Program:
    """A main body, and how to run it.

    `tasks` says what the task factory makes: "plain" (there is none), "eager" or "foreign" ones.
    `patient`: once the main body is done, the others run until nothing happens any more; otherwise
    they are cancelled at once, as `asyncio.run` does. `curious`: in the end every future and task
    is asked what became of it, so that no exception of theirs remains unseen.
    """

    body: Block
    cancels: tuple[CancelAt, ...] = ()
    knocks: tuple[Knock, ...] = ()
    tasks: str = "plain"
    debug: bool = False
    patient: bool = False
    curious: bool = False
