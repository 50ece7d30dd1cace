"""Eager tasks: the first step is taken at once, in the turn in which the task is made.

Many coroutines never wait: the answer is in a cache, the lock is free, the data has arrived. A task
for such a coroutine need not go through the ready queue. An eager task runs up to its first
`await` of something not done; only the rest waits for a turn.

Invariant: when `create_task` returns, the current task is the same as before the call.

The trap: while an eager task takes its first step, another task is in the middle of a step. So the
current task must be restored afterwards; after an ordinary step there is none.

Source: the CPython documentation, `asyncio.eager_task_factory`.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.kernel.future import FINISHED, PENDING, Future
from miniloop.kernel.registry import swap_current_task
from miniloop.kernel.task import Task, check_context

__all__ = ["eager_task_factory", "new_eager_task"]

_allocate = object.__new__


def eager_task_factory(
    loop: Any,
    coro: Any,
    *,
    name: object = None,
    context: Context | None = None,
    eager_start: bool = True,
) -> Task[Any]:
    """A task factory (`loop.set_task_factory`) whose tasks take their first step at once.

    Unlike `asyncio.eager_task_factory` it makes tasks of ours, and works on CPython 3.11.
    """
    return Task(coro, loop=loop, name=name, context=context, eager_start=eager_start)


def new_eager_task(loop: Loop, coro: Any, name: object, context: Context | None) -> Task[Any]:
    """Make a `Task` that takes its first step now: what an eager task factory is turned into.

    What `new_task`, `Task._run_eagerly` and `Task._run` do, written out for a coroutine that has
    not begun: there is nothing to throw into it. Calls of `fill_future` and `_begin` alone would
    take 5 % of the instructions of an eager task (benchmark `callbacks/eager-task`).
    """
    if type(coro) is not CoroutineType or loop._thread_id is None:
        return Task(coro, loop=loop, name=name, context=context, eager_start=True)
    task: Task[Any] = _allocate(Task)
    task._loop = loop
    task._state = PENDING
    task._waiting = None
    task._result = None
    task._exception = None
    task._asyncio_future_blocking = False
    task._coro = coro
    task._send = send = coro.send
    task._context = context = copy_context() if context is None else check_context(context, True)
    task._name = None if name is None else str(name)
    task._fut_waiter = None
    task._throw = None
    task._must_cancel = False
    task._log_destroy_pending = True
    loop.tasks.add(task)
    outer = swap_current_task(loop, task)
    try:
        awaited = context.run(send, None)
    except StopIteration as stop:
        if task._must_cancel:
            task._must_cancel = False
            Future.cancel(task, task._cancel_message)
        else:
            task._result = stop.value
            task._state = FINISHED
            if task._waiting is not None:
                task._wake_waiting()
        loop.tasks.discard(task)
    except BaseException as error:
        task._exception = error  # as in `Task._run`
        if task._end_by(error, eager=True):
            raise
    else:
        task._wait_for(awaited)
    finally:
        swap_current_task(loop, outer)
        if task._state is not PENDING:
            task._coro = task._send = None  # type: ignore[assignment]  # there is no next step
    return task
