"""Makes a program smaller that has found something, as long as it still does.

The programs are trees, so there are only a few ways to make one smaller, whatever its steps are:
leave out some steps of a block, put the steps inside of a step in its place, and replace a plain
value by a plainer one. These are tried, the greatest savings first, until none of them helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tests.differential.language import Child, Program, Step
from tests.differential.steps import Sleep

__all__ = ["shrink"]


def shrink(program: Program, still_fails: Callable[[Program], bool]) -> Program:
    """The smallest program found that still fails."""
    while True:
        for smaller in _smaller(program):
            if still_fails(smaller):
                program = smaller
                break
        else:
            return program


def _smaller(thing: Any) -> Iterator[Any]:
    """Everything that is one step smaller than this tree, at its root or further in."""
    if isinstance(thing, tuple):
        yield from _smaller_block(thing)
    elif is_dataclass(thing) and not isinstance(thing, type):
        if isinstance(thing, Step) and thing != Sleep(0):
            yield Sleep(0)
        for field in fields(thing):
            value = getattr(thing, field.name)
            if value is not None and "None" in str(field.type):
                yield replace(thing, **{field.name: None})
            for smaller in _smaller(value):
                yield replace(thing, **{field.name: smaller})
    elif isinstance(thing, bool):
        if thing:
            yield False
    elif isinstance(thing, int):
        yield from {0, thing // 2, thing - 1} - {thing} if thing > 0 else ()


def _smaller_block(block: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    length = len(block)
    size = length
    while size:
        for start in range(0, length - size + 1, size):
            yield block[:start] + block[start + size :]
        size //= 2
    for at, thing in enumerate(block):
        if isinstance(thing, Step):
            for inner in _blocks_in(thing):
                yield block[:at] + inner + block[at + 1 :]
    for at, thing in enumerate(block):
        for smaller in _smaller(thing):
            yield (*block[:at], smaller, *block[at + 1 :])


def _blocks_in(step: Any) -> Iterator[tuple[Any, ...]]:
    for field in fields(step):
        inner = getattr(step, field.name)
        if isinstance(inner, Child):
            yield inner.body
        elif isinstance(inner, tuple):
            yield tuple(thing for thing in inner if isinstance(thing, Step))
            yield tuple(step for thing in inner if isinstance(thing, Child) for step in thing.body)
