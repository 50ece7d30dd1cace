"""Where programs come from: a source of randomness, turned into steps.

The source is a `random.Random`. Seeded with a number it gives the program of that number, for
volume; Hypothesis has a source of its own, whose choices it can vary and make smaller.

The menus at the end say which steps there are, how often each is chosen, and with what.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import TypeVar

from tests.differential import steps
from tests.differential.language import (
    Act,
    Acts,
    Await,
    Block,
    CancelAt,
    Child,
    Knock,
    Program,
    Step,
    Target,
)
from tests.differential.world import ERRORS

__all__ = ["generate", "program_of_seed"]

T = TypeVar("T")

# How many steps a program has at most, about, and how deep blocks may stand in each other.
MOST_STEPS = 60
DEEPEST = 5

# Turns at which a cancellation from outside may aim: few programs take more.
LAST_AIM = 24


def program_of_seed(seed: int) -> Program:
    """The program of this number, always the same on one version of Python."""
    return generate(random.Random(seed))


def generate(source: random.Random) -> Program:
    """A program made of the source's choices."""
    return Choices(source).program()


class Choices:
    """Everything that can be chosen, from a number to a program."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._steps_left = source.randint(4, MOST_STEPS)
        self._depth = 0

    def program(self) -> Program:
        return Program(
            # Some tasks to begin with: a program of one task alone finds nothing.
            body=tuple(self.spawn(longest=9) for _ in range(self.below(5))) + self.block(8),
            cancels=tuple(
                CancelAt(1 + self.below(LAST_AIM), self.number(), self.message())
                for _ in range(self.one_of(0, 0, 1, 2))
            ),
            knocks=tuple(
                Knock(self.below(12), self.acts()) for _ in range(self.one_of(0, 0, 0, 1, 2))
            ),
            tasks=self.one_of(*_FACTORIES),
            debug=self.once_in(20),
            patient=not self.once_in(3),
            curious=self.once_in(3),
        )

    # Plain values.

    def below(self, bound: int) -> int:
        return self._source.randrange(bound)

    def once_in(self, times: int) -> bool:
        return self.below(times) == times - 1

    def one_of(self, *things: T) -> T:
        return things[self.below(len(things))]

    def number(self) -> int:
        """For whatever is counted round."""
        return self.below(6)

    def message(self) -> str | None:
        return self.one_of(None, None, "please", "now")

    def delay(self) -> int:
        return self.one_of(0, 1, 2, 2, 3, 5, -1)

    def timeout(self) -> int | None:
        return self.one_of(1, 2, 3, 0, None, 5, -1)

    def error(self) -> str:
        return "error" if self.once_in(2) else self.one_of(*ERRORS)

    def error_to_set(self) -> str:
        error = self.error()
        return "error" if error == "stop iteration" and sys.version_info < (3, 13) else error

    # Steps.

    def block(self, longest: int = 4) -> Block:
        return self._several(self.step, 1, longest)

    def block_or_none(self, longest: int = 3) -> Block:
        return self._several(self.step, 0, longest)

    def acts(self) -> Acts:
        return self._several(self.act, 0, 2)

    def _several(self, make: Callable[[], T], fewest: int, most: int) -> tuple[T, ...]:
        made: list[T] = []
        self._depth += 1
        for _ in range(fewest + self.below(most - fewest + 1)):
            if self._steps_left > 0:
                self._steps_left -= 1
                made.append(make())
        self._depth -= 1
        return tuple(made)

    def step(self) -> Step:
        return self.act() if self.once_in(3) else self.wait()

    def act(self) -> Act:
        return self.one_of(*(_SPREADING_ACTS if self._may_nest() else _ACTS))(self)

    def wait(self) -> Await:
        return self.one_of(*(_NESTING_AWAITS if self._may_nest() else _AWAITS))(self)

    def _may_nest(self) -> bool:
        return self._depth < DEEPEST and self.once_in(2)

    def spawn(self, longest: int = 5) -> Act:
        return steps.Spawn(self.block(longest), self.one_of(*_HOW_TO_SPAWN))

    def target(self) -> Target:
        return Target(not self.once_in(3), self.number())

    def child(self) -> Child:
        return Child(self.block_or_none())

    def children(self) -> tuple[Child, ...]:
        return tuple(self.child() for _ in range(self.below(4)))

    def target_or_child(self) -> Target | Child:
        return self.child() if self.once_in(2) else self.target()


# ---- the menus -------------------------------------------------------------------------------

_HOW_TO_SPAWN = ["plain", "plain", "plain", "foreign", "shared"]
_FACTORIES = ["plain"] * 10 + ["foreign"]
if sys.version_info >= (3, 12):
    _HOW_TO_SPAWN.append("eager")
    _FACTORIES.append("eager")

Make = Callable[[Choices], T]


def _menu(*dishes: tuple[int, Make[T]]) -> list[Make[T]]:
    """Each as often as its number says."""
    return [make for weight, make in dishes for _ in range(weight)]


_ACTS: list[Make[Act]] = _menu(
    (2, lambda c: steps.SetResult(c.number(), c.below(10))),
    (2, lambda c: steps.SetException(c.number(), c.error_to_set(), c.once_in(4))),
    (4, lambda c: steps.Cancel(c.target(), c.message())),
    (1, lambda c: steps.CancelMe(c.message())),
    (2, lambda c: steps.Uncancel(c.one_of(None, None, 0, 1, 2))),
    (1, lambda c: steps.Ask(c.target())),
    (1, lambda c: steps.RemoveDoneCallback(c.number())),
    (1, lambda c: steps.CancelHandle(c.number())),
    (1, lambda c: steps.Raise(c.error())),
    (1, lambda c: steps.Stop()),
    (1, lambda c: steps.SetEvent(c.number(), not c.once_in(3))),
    (1, lambda c: steps.Release(c.number())),
    (1, lambda c: steps.PutNow(c.number())),
    (1, lambda c: steps.GetNow(c.number())),
    (1, lambda c: steps.TaskDone(c.number())),
    (2, lambda c: steps.SetVariable(c.number(), c.below(10))),
    (1, lambda c: steps.Look()),
    (1, lambda c: steps.Reschedule(c.number(), c.timeout())),
)
if sys.version_info >= (3, 13):
    _ACTS.append(lambda c: steps.ShutDownQueue(c.number(), c.once_in(2)))

_SPREADING_ACTS: list[Make[Act]] = _menu(
    (4, lambda c: c.spawn()),
    (1, lambda c: steps.GroupSpawn(c.number(), c.block_or_none())),
    (1, lambda c: steps.StartGather(c.children(), c.once_in(2))),
    (1, lambda c: steps.StartShield(c.child())),
    (2, lambda c: steps.AddDoneCallback(c.target(), c.once_in(2), c.acts())),
    (2, lambda c: steps.CallSoon(c.acts(), c.once_in(4), c.one_of(None, None, 0, 1))),
    (2, lambda c: steps.CallLater(c.delay(), c.acts())),
    (1, lambda c: steps.CallAt(c.below(8), c.acts())),
)

_AWAITS: list[Make[Await]] = _menu(
    (8, lambda c: steps.Sleep(c.delay())),
    (5, lambda c: steps.AwaitIt(c.target())),
    (1, lambda c: steps.Shield(c.target())),
    (
        1,
        lambda c: steps.Wait(
            tuple(c.target() for _ in range(1 + c.below(3))),
            c.timeout(),
            c.one_of("FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"),
        ),
    ),
    (2, lambda c: steps.WaitFor(c.target(), c.timeout())),
    (1, lambda c: steps.WaitEvent(c.number())),
    (1, lambda c: steps.WaitCondition(c.number())),
    (2, lambda c: steps.Notify(c.number(), c.below(3))),
    (1, lambda c: steps.WaitBarrier()),
    (1, lambda c: steps.Put(c.number())),
    (1, lambda c: steps.Get(c.number())),
    (1, lambda c: steps.Join(c.number())),
    (1, lambda c: steps.NextItem(c.number())),
    (1, lambda c: steps.CloseGenerator(c.number())),
    (1, lambda c: steps.Misuse(c.one_of("object", "unasked", "done", "generator"))),
)

_NESTING_AWAITS: list[Make[Await]] = _menu(
    (
        6,
        lambda c: steps.Try(
            c.block(),
            c.one_of("CancelledError", "CancelledError", "Exception", "BaseException", None),
            c.block_or_none(),
            c.block_or_none(),
        ),
    ),
    (
        2,
        lambda c: steps.Gather(tuple(c.target_or_child() for _ in range(c.below(4))), c.once_in(2)),
    ),
    (1, lambda c: steps.Shield(c.child())),
    (2, lambda c: steps.WaitFor(c.child(), c.timeout())),
    (3, lambda c: steps.Timeout(c.timeout(), c.block())),
    (3, lambda c: steps.Group(c.children(), c.block_or_none())),
    (1, lambda c: steps.Locked(c.number(), c.block_or_none())),
    (1, lambda c: steps.Admitted(c.number(), c.block_or_none())),
    (2, lambda c: steps.Iterate(c.block_or_none(), c.below(4), 1 + c.below(3), c.once_in(2))),
)
