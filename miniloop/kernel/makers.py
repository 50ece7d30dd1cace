"""Who makes handles, futures and tasks: the usual makers, those of debug mode, a task factory.

The choice depends on the debug mode and on the task factory. It is made whenever one of the two
changes, and not each time that the loop makes something.

Invariant: tasks come from the factory that the user has set, in debug mode too. Eager tasks are
ours, by whichever of their two names they are asked for.

The trap: before CPython 3.14 a factory is not told the task's name, and is given none; the name is
set afterwards. A factory that ignores the difference works on both.

Source: the CPython documentation, `loop.set_task_factory` and `loop.create_task`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import Context
from typing import Any

from miniloop.kernel import debug
from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.eager import eager_task_factory
from miniloop.kernel.future import new_future
from miniloop.kernel.handle import Handle, new_handle, new_timer
from miniloop.kernel.task import new_task

__all__ = ["choose_makers", "create_special_task"]

# asyncio's own is there from 3.12 on.
_EAGER_FACTORIES = (eager_task_factory, getattr(asyncio, "eager_task_factory", eager_task_factory))

# From 3.14 on a task factory is told the name; before, the task is given it afterwards.
_FACTORIES_NAME = sys.version_info >= (3, 14)


def choose_makers(loop: CompleteLoop) -> None:
    """Put those in place that the debug mode and the task factory ask for."""
    factory = loop.get_task_factory()
    if factory is None or factory in _EAGER_FACTORIES:
        make_task = _own_task_maker(loop, factory is not None)
    else:
        make_task = _make_by_factory
    if loop.get_debug():
        loop.use_makers(
            debug.DebugHandle,
            debug.new_debug_handle,
            debug.new_debug_timer,
            debug.new_debug_future,
            make_task,
            debug.new_debug_shared_handle,
        )
    else:
        loop.use_makers(Handle, new_handle, new_timer, new_future, make_task)


def create_special_task(
    loop: CompleteLoop, coro: Any, name: object, context: Context | None, **kwargs: Any
) -> Any:
    """`loop.create_task` with more than a name and a context; a factory that was set gets it all.

    Raises TypeError for what the loop's own tasks do not know.
    """
    if loop.make_task is _make_by_factory:
        return _make_by_factory(loop, coro, name, context, **kwargs)
    eager = kwargs.pop("eager_start", None)
    if kwargs:
        raise TypeError(f"create_task() got unexpected arguments: {', '.join(kwargs)}")
    make = loop.make_task if eager is None else _own_task_maker(loop, eager)
    return make(loop, coro, name, context)


def _own_task_maker(loop: CompleteLoop, eager: bool) -> Callable[..., Any]:
    """What makes our own tasks, in this mode."""
    if loop.get_debug():
        return debug.new_debug_eager_task if eager else debug.new_debug_task
    return loop.make_eager_task if eager else new_task


def _make_by_factory(
    loop: CompleteLoop, coro: Any, name: object, context: Context | None, **kwargs: Any
) -> Any:
    """Make a task by the factory that the user has set."""
    factory = loop.get_task_factory()
    assert factory is not None
    if context is not None:
        kwargs["context"] = context
    if name is not None and _FACTORIES_NAME:
        kwargs["name"] = name
    task = factory(loop, coro, **kwargs)
    if name is not None and not _FACTORIES_NAME and hasattr(task, "set_name"):
        task.set_name(name)
    return task
