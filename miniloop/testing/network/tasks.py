"""The tasks of a loop in the order in which they were made.

A loop holds its tasks in a set, whose order is that of their addresses in memory. Here those of a
host that crashes are cancelled in an order that does not depend on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from typing import Any

__all__ = ["OrderedTasks"]


class OrderedTasks(MutableSet[Any]):
    """A set that remembers when its members came."""

    def __init__(self, tasks: Iterable[Any] = ()) -> None:
        self._tasks: dict[Any, None] = dict.fromkeys(tasks)

    def __contains__(self, task: object) -> bool:
        return task in self._tasks

    def __iter__(self) -> Iterator[Any]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, value: Any) -> None:
        """Hold it."""
        self._tasks[value] = None

    def discard(self, value: Any) -> None:
        """Let it go."""
        self._tasks.pop(value, None)
