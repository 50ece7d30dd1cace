"""Sets, and a task group, whose order does not depend on addresses in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableSet
from typing import Any

__all__ = ["OrderedSet", "OrderedTaskGroup"]


class OrderedTaskGroup(asyncio.TaskGroup):
    """Cancels its tasks in the order in which they were created; the original keeps a set."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks = OrderedSet()


class OrderedSet(MutableSet[Any]):
    """A set that remembers the order of insertion."""

    def __init__(self) -> None:
        self._items: dict[Any, None] = {}

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, value: Any) -> None:
        self._items[value] = None

    def discard(self, value: Any) -> None:
        self._items.pop(value, None)

    def copy(self) -> OrderedSet:
        """Another one with the same items: what a closing loop takes of its generators."""
        twin = OrderedSet()
        twin._items = dict(self._items)
        return twin
