"""What an exercise is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["Check", "Exercise", "Wrong", "equal", "function", "not_to_be_used"]

# A check is given the solution, as a module, and raises Wrong. Its docstring is what must hold.
Check = Callable[[ModuleType], None]


class Wrong(Exception):
    """The solution does not do what was asked for; the text says what it does instead."""


class Exercise(NamedTuple):
    """One exercise of the tour."""

    begin: str  # the file to begin with: it says what to write
    checks: tuple[Check, ...]  # in this order; the first that fails ends the trial


def function(solution: ModuleType, name: str) -> Callable[..., Any]:
    """The solution's function of that name. Raises Wrong if there is none to be called."""
    found = getattr(solution, name, None)
    if not callable(found):
        raise Wrong(f"the file has nothing to call by the name `{name}`")
    return found  # type: ignore[no-any-return]  # a module has anything


def equal(what: str, got: object, wanted: object) -> None:
    """Raise Wrong unless both are equal."""
    if got != wanted:
        raise Wrong(f"{what}: wanted {wanted!r}, got {got!r}")


@contextmanager
def not_to_be_used(module: Any, *names: str) -> Iterator[None]:
    """In this block, functions that do what the exercise asks for raise Wrong."""
    kept = {name: getattr(module, name) for name in names if hasattr(module, name)}

    def refuse(name: str) -> Callable[..., Any]:
        def refused(*arguments: object, **named: object) -> Any:
            raise Wrong(f"{module.__name__}.{name} is what you are to write: do without it")

        return refused

    for name in kept:
        setattr(module, name, refuse(name))
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(module, name, value)
