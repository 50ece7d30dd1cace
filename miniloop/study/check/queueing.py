"""Exercise 2: give each coroutine its turn."""

from __future__ import annotations

import asyncio
from types import ModuleType

from miniloop.study.check.exercise import Exercise, Wrong, equal, function

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 2: give each coroutine its turn.

Write `run`. It is given a list of coroutines, which wait for nothing but `asyncio.sleep(0)`, and
gives each of them one step in turn until all are through. It returns the list of their results, in
the order of the coroutines. For one that raises, the exception stands in its place, and the others
go on. No loop of anybody else: only `send` and a queue.

    python3 -m miniloop.study check 2
"""


def run(coroutines):
    ...
'''


async def _walk(name: str, steps: int, log: list[str]) -> str:
    for number in range(steps):
        log.append(f"{name}{number}")
        await asyncio.sleep(0)
    return f"{name} walked {steps}"


def _nothing(solution: ModuleType) -> None:
    """run([]) is an empty list."""
    equal("run([])", function(solution, "run")([]), [])


def _results(solution: ModuleType) -> None:
    """The results are in the order of the coroutines, and not of their ends."""
    log: list[str] = []
    got = function(solution, "run")([_walk("a", 3, log), _walk("b", 0, log), _walk("c", 1, log)])
    equal("the results", got, ["a walked 3", "b walked 0", "c walked 1"])


def _in_turn(solution: ModuleType) -> None:
    """Each has one step in turn."""
    log: list[str] = []
    function(solution, "run")([_walk("a", 3, log), _walk("b", 2, log)])
    if log == ["a0", "a1", "a2", "b0", "b1"]:
        raise Wrong("the first coroutine was run to its end before the second began")
    equal("the order of steps", log, ["a0", "b0", "a1", "b1", "a2"])


def _failures(solution: ModuleType) -> None:
    """One that raises stops no other, and its exception is its result."""
    log: list[str] = []
    failure = ValueError("of the second")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise failure

    try:
        got = function(solution, "run")([_walk("a", 3, log), fails(), _walk("c", 2, log)])
    except ValueError:
        raise Wrong("the exception came out of run, and the others were left behind") from None
    equal("the results", got, ["a walked 3", failure, "c walked 2"])


EXERCISE = Exercise(BEGIN, (_nothing, _results, _in_turn, _failures))
