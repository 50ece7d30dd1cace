"""Rings: tasks of which each waits for what the next one holds, so that none can ever go on.

That a task waits is no fault. That two tasks wait for each other is. First we find the tasks that
can never go on (`stuck`). A task may go on if something from outside may wake it (a timer, a
descriptor, whoever sets an event), or if the tasks that it waits for may go on. All others are in a
ring, or wait behind one. (With a semaphore of two slots, both holders must be stuck.)

A timeout is something from outside: it breaks a ring when it expires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Needs", "rings_among", "stuck"]


@dataclass(frozen=True)
class Needs:
    """The tasks that a task needs: all (`every`) or any; `free` if it may go on without them."""

    on: tuple[Any, ...]
    every: bool = True
    free: bool = False


def stuck(needs: Mapping[Any, Needs]) -> set[Any]:
    """The tasks that only stuck tasks could wake. A task that is not in `needs` is free."""
    left = dict.fromkeys(task for task, need in needs.items() if not need.free)
    missing = {task: {other for other in needs[task].on if other in left} for task in left}
    needed_by: dict[Any, list[Any]] = {}
    for task, others in missing.items():
        for other in others:
            needed_by.setdefault(other, []).append(task)
    # First those that have all that they need, then those that waited only for these, and so on.
    freed = [task for task in left if _has_enough(needs[task], missing[task])]
    for task in freed:
        left.pop(task, None)
        for waiting in needed_by.get(task, ()):
            missing[waiting].discard(task)
            if waiting in left and _has_enough(needs[waiting], missing[waiting]):
                del left[waiting]
                freed.append(waiting)
    return set(left)


def _has_enough(need: Needs, missing: set[Any]) -> bool:
    return not missing or (not need.every and len(missing) < len(set(need.on)))


def rings_among(needs: Mapping[Any, Needs]) -> list[list[Any]]:
    """The rings, each in the order in which its tasks wait for each other; they share no task.

    Each begins with that of its tasks which comes first in `needs`.
    """
    among = stuck(needs)
    place = {task: number for number, task in enumerate(needs)}
    rings: list[list[Any]] = []
    seen: set[Any] = set()
    for start in needs:
        path: dict[Any, None] = {}  # in order
        ways = [iter([start])]
        while ways:
            task = next(ways[-1], None)
            if task is None:
                ways.pop()
                if path:
                    path.popitem()
            elif task in path:
                way = list(path)
                ring = way[way.index(task) :]
                first = ring.index(min(ring, key=place.__getitem__))
                rings.append(ring[first:] + ring[:first])
            elif task in among and task not in seen:
                seen.add(task)
                path[task] = None
                ways.append(iter(needs[task].on))
    return rings
