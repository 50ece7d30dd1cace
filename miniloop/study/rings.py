"""Rings: tasks of which each waits for what the next one holds, so that none can ever go on.

That a task waits is no fault; that it waits for one which waits for it is. First those are found
that can never go on by themselves (`stuck`): a task may go on if something from outside may wake it
(a timer, a descriptor, whoever sets an event), or if the tasks that it waits for may. Whoever is
left is in a ring, or waits behind one. (With a semaphore of two slots, both holders must be stuck.)

A timeout is something from outside: it breaks a ring, late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Needs", "rings_among", "stuck"]


@dataclass(frozen=True)
class Needs:
    """Whom a task needs, all of them (`every`) or any; `free` if it may go on without them."""

    on: tuple[Any, ...]
    every: bool = True
    free: bool = False


def stuck(needs: Mapping[Any, Needs]) -> set[Any]:
    """The tasks that none but stuck tasks could wake. Whom `needs` does not know is free."""
    left = {task for task, need in needs.items() if not need.free}
    while True:
        freed = {
            task
            for task in left
            if not any(other in left for other in needs[task].on)
            or (not needs[task].every and any(other not in left for other in needs[task].on))
        }
        if not freed:
            return left
        left -= freed


def rings_among(needs: Mapping[Any, Needs]) -> list[list[Any]]:
    """The rings, each in the order in which its tasks wait for each other; they share no task."""
    among = stuck(needs)
    rings: list[list[Any]] = []
    seen: set[Any] = set()
    for start in needs:
        path: list[Any] = []
        ways = [iter([start])]
        while ways:
            task = next(ways[-1], None)
            if task is None:
                ways.pop()
                if path:
                    path.pop()
            elif task in path:
                rings.append(path[path.index(task) :])
            elif task in among and task not in seen:
                seen.add(task)
                path.append(task)
                ways.append(iter(needs[task].on))
    return rings
