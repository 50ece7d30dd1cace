"""Where `asyncio.current_task()` and `asyncio.all_tasks()` look.

The standard library keeps two process-wide tables: the task that each loop is running just now, and
all the tasks there are, weakly. Tasks of any make must be found there. The documented door
("Extending asyncio" in the CPython documentation) is four functions, and each is a call for every
step or every task:

* `_enter_task` and `_leave_task` check what no loop of ours gets wrong. Up to CPython 3.13 the
  table behind them is a plain dictionary, and using it directly takes a third less time.
* `_register_task` takes 228 ns a task, its collection included, since it makes a weak reference
  with a callback. But a loop of ours holds its tasks in a set as it is (`Scheduler.tasks`: no task
  is ever lost), which takes 53 ns, so `all_tasks()` need only look there as well. Up to 3.13 it
  iterates over a module's variable, in which we put a table that ends with our loops' sets.

From 3.14 on both tables live in the interpreter, and the functions are the only way.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miniloop.kernel.scheduler import Scheduler
    from miniloop.kernel.task import Task

__all__ = ["current_tasks", "task_set"]

current_tasks: Any

if sys.version_info < (3, 14):
    current_tasks = asyncio.tasks._current_tasks  # type: ignore[attr-defined]  # not in stubs

    _loops: weakref.WeakSet[Scheduler] = weakref.WeakSet()

    def task_set(loop: Scheduler) -> set[Task[Any]]:
        """The set in which `loop` keeps its tasks, and `all_tasks()` finds them."""
        _loops.add(loop)
        return set()

    class _AllTasks(weakref.WeakSet[Any]):
        """asyncio's table, with the tasks of our loops behind its own."""

        def __init__(self, table: weakref.WeakSet[Any]) -> None:
            super().__init__()
            self.data = table.data  # type: ignore[attr-defined]  # what one gets, both have
            self._table = table

        def __iter__(self) -> Iterator[Any]:
            yield from self._table
            for loop in list(_loops):
                # Another thread may be running this one; all_tasks() tries again when a set
                # changes under it, as it must with its own table.
                yield from loop.tasks

    _name = "_scheduled_tasks" if sys.version_info >= (3, 12) else "_all_tasks"
    setattr(asyncio.tasks, _name, _AllTasks(getattr(asyncio.tasks, _name)))

else:

    class _CurrentTasks:
        """The thread state's current task, in the shape of the older table."""

        def __setitem__(self, loop: Any, task: Any) -> None:
            asyncio.tasks._swap_current_task(loop, task)  # type: ignore[attr-defined]  # private

        def __delitem__(self, loop: Any) -> None:
            asyncio.tasks._swap_current_task(loop, None)  # type: ignore[attr-defined]  # private

        def get(self, loop: Any) -> Any:
            return asyncio.current_task(loop)

    current_tasks = _CurrentTasks()

    class _TaskSet(set[Any]):
        """A set that tells the interpreter of what is added."""

        def add(self, task: Any) -> None:
            super().add(task)
            asyncio._register_task(task)  # type: ignore[attr-defined]  # documented, not in stubs

    def task_set(loop: Scheduler) -> set[Task[Any]]:
        """The set in which `loop` keeps its tasks."""
        return _TaskSet()
