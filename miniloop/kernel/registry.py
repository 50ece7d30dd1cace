"""Where `asyncio.current_task()` and `asyncio.all_tasks()` look.

The first loop changes the class of asyncio's private table of tasks, and two public names (see
awaiters.py); they are changed back when the last loop is gone. `import miniloop` alone changes
nothing.

asyncio keeps two process-wide tables: the task that each loop is running just now, and all tasks
that there are, weakly. Tasks of any make must be found there. The documented door ("Extending
asyncio" in the CPython documentation) is four functions, and each is a call for every step or every
task:

* `_enter_task` and `_leave_task` check what no loop of ours gets wrong. Up to CPython 3.13 the
  table behind them is a plain dictionary, and using it directly takes a third less time. From 3.14
  on the current task is a field of the thread's state, set by `_swap_current_task`, a function in
  C. `_CurrentTasks` gives that function the shape of the dictionary, with no step of Python in
  between: entering and leaving takes 51 ns then, and 123 ns with methods written in Python.
* `_register_task` takes 228 ns a task, its collection included, since it makes a weak reference
  with a callback. But a loop of ours holds its tasks in a set anyway (`Scheduler.tasks`: no task
  is ever lost), which takes 53 ns, so `all_tasks()` need only look there as well. It iterates over
  a `WeakSet`, which `_AllTasks` makes end with the tasks of our loops.

Invariant: a loop has a current task exactly while that task takes a step.

The trap: `all_tasks()` may be called from another thread. So a loop is registered once it has its
set, and the set is copied, in one step that no other thread interrupts, before it is looked at.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from miniloop.kernel.awaiters import give_back_names, take_names
from miniloop.kernel.contract import Loop

__all__ = ["current_tasks", "loops", "register_loop", "swap_current_task"]

# The current task.

current_tasks: Any

if sys.version_info < (3, 14):
    current_tasks = asyncio.tasks._current_tasks  # type: ignore[attr-defined]  # not in stubs
else:

    class _CurrentTasks:
        """The thread state's current task, in the shape of the older table."""

        _swap = asyncio.tasks._swap_current_task  # type: ignore[attr-defined]  # private

        __setitem__ = staticmethod(_swap)
        __delitem__ = staticmethod(functools.partial(_swap, functools.Placeholder, None))
        pop = staticmethod(_swap)  # after `pop(loop, None)` the current task is None
        get = staticmethod(asyncio.current_task)

    current_tasks = _CurrentTasks()

if sys.version_info < (3, 12):

    def swap_current_task(loop: Loop, task: Any) -> Any:
        """Have `loop` run `task`, or none (None), and give the one that it ran before."""
        before = current_tasks.pop(loop, None)
        if task is not None:
            current_tasks[loop] = task
        return before

else:
    swap_current_task = asyncio.tasks._swap_current_task  # type: ignore[attr-defined]  # private

# All tasks.


class _AllTasks(weakref.WeakSet[Any]):
    """What asyncio's table is while there are loops of ours: their tasks come behind its own."""

    def __iter__(self) -> Iterator[Any]:
        # Not `super()`: the last loop may go meanwhile, and this is no `_AllTasks` any more.
        yield from weakref.WeakSet.__iter__(self)
        for reference in list(_loops):
            loop = reference()
            if loop is not None:
                yield from list(loop.tasks)


def _find_tables() -> list[Any]:
    """The tables of tasks that asyncio has: one of its Python code, one of its C code."""
    found = [getattr(asyncio.tasks, name, None) for name in ("_all_tasks", "_scheduled_tasks")]
    # Up to 3.13 they are the same. From 3.14 on only the module in C itself refers to its own.
    found += gc.get_referents(sys.modules.get("_asyncio"))
    return [table for table in found if type(table) is weakref.WeakSet]


_tables = _find_tables()
_loops: set[weakref.ref[Loop]] = set()
_lock = threading.RLock()  # the last loop may go in one thread while another makes one


def register_loop(loop: Loop) -> None:
    """Have `all_tasks()` find what is in `loop.tasks`, in whatever thread it is asked for."""
    with _lock:
        _loops.add(weakref.ref(loop, _forget))
        _change_tables(_AllTasks)
        take_names()


def _forget(reference: weakref.ref[Loop]) -> None:
    with _lock:
        _loops.discard(reference)
        if not _loops:
            _change_tables(weakref.WeakSet)
            give_back_names()


def _change_tables(kind: type[weakref.WeakSet[Any]]) -> None:
    for table in _tables:
        table.__class__ = kind


def loops() -> list[Any]:
    """The loops of ours that there are, closed ones too."""
    with _lock:
        found = [reference() for reference in _loops]
    return [loop for loop in found if loop is not None]
