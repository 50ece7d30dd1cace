"""Exercise 1: drive a coroutine by hand."""

from __future__ import annotations

import types
from collections.abc import Generator
from types import ModuleType
from typing import Any

from miniloop.study.check.exercise import Exercise, Wrong, equal, function

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 1: drive a coroutine by hand.

Write `drive`. It runs the coroutine to its end, and returns what the coroutine returns. Whenever
the coroutine hands something out, it goes on with `answer(what came out)`. Should `answer` raise,
then the coroutine is given that exception at the place where it waits: it may catch it, and go on.

    python3 -m miniloop.study check 1
"""


def drive(coroutine, answer):
    ...
'''


@types.coroutine
def _ask(question: Any) -> Generator[Any, Any, Any]:
    return (yield question)


def _refuse(question: object) -> object:
    raise LookupError(question)


def _returns(solution: ModuleType) -> None:
    """It returns what a coroutine returns that waits for nothing."""

    async def at_once() -> str:
        return "done"

    equal("drive(at_once(), ...)", function(solution, "drive")(at_once(), _refuse), "done")


def _answers(solution: ModuleType) -> None:
    """Each question is answered, in its order."""
    asked = []

    def answer(question: int) -> int:
        asked.append(question)
        return question * 10

    async def asks() -> list[int]:
        return [await _ask(1), await _ask(2), await _ask(3)]

    result = function(solution, "drive")(asks(), answer)
    equal("the questions that came to `answer`", asked, [1, 2, 3])
    equal("what the coroutine was told", result, [10, 20, 30])


def _passes_failures(solution: ModuleType) -> None:
    """The failure of a coroutine goes to whoever called drive."""
    failure = ZeroDivisionError("of the coroutine")

    async def fails() -> None:
        await _ask(1)
        raise failure

    try:
        result = function(solution, "drive")(fails(), lambda question: None)
    except ZeroDivisionError as error:
        if error is not failure:
            raise Wrong(f"another exception came out: {error!r}") from None
    else:
        raise Wrong(f"the coroutine raised {failure!r}, and drive returned {result!r}")


def _throws(solution: ModuleType) -> None:
    """What `answer` raises is raised in the coroutine, which may catch it and go on."""

    async def stubborn() -> str:
        try:
            await _ask("a question too hard")
        except LookupError as error:
            again = await _ask("an easy question")
            return f"caught {error}, then {again}"
        return "was told nothing"

    def answer(question: str) -> str:
        if "hard" in question:
            raise LookupError("no answer")
        return "an answer"

    try:
        result = function(solution, "drive")(stubborn(), answer)
    except LookupError:
        raise Wrong(
            "the exception of `answer` came out of drive, and the coroutine never saw it: "
            "look at `throw` of coroutines"
        ) from None
    equal("the coroutine returned", result, "caught no answer, then an answer")


EXERCISE = Exercise(BEGIN, (_returns, _answers, _passes_failures, _throws))
