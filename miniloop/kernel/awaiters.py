"""Which tasks wait for a future: the upward edge of asyncio's call graph.

From CPython 3.14 on `asyncio.print_call_graph()` and its relatives ask a future for its
`_asyncio_awaited_by`. asyncio keeps that set up to date all the time, at each `await`, in each task
group, `gather` and `wait`. Here nothing is kept: who waits is among those who are told when the
future is done, so it can be found when it is asked for, and costs nothing until then.

* A task that awaits the future is told as itself.
* A task of another make has its wake-up method called, which is bound to the task.
* A task group, `gather`, `wait`, `shield`, `as_completed` have a callback of asyncio's called. It
  refers to the task that they work for, or to a future for which that task waits, by one of the
  names in `TASK_NAMES` and `FUTURE_NAMES`. A test tries each of these tools.
* Other libraries' task groups say it, by `asyncio.future_add_to_awaited_by`. That is a function in
  C which knows asyncio's own futures only, so `add_awaiter` takes its place while there are loops
  of ours, under its public name: asyncio's own tools call it by another, and lose no time.

Invariant: nothing is stored but what was said so. Each answer is computed from the entries that
wait at that time.

The trap: a callback of `gather` stays with a future that lives longer than the `gather`. What it
holds is then a future that is done, and no task waits by way of it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable, Iterator
from typing import Any

from miniloop.kernel.handle import Handle

__all__ = ["add_awaiter", "awaiters", "discard_awaiter", "give_back_names", "take_names"]

TASK_NAMES = {"cur_task", "parent_task", "_cur_task", "_parent_task"}
FUTURE_NAMES = {"outer", "waiter", "destination", "_on_completed_fut"}


def awaiters(entries: Iterable[Any]) -> frozenset[Any]:
    """The tasks that wait for a future, given the entries and callbacks that wait for it."""
    tasks: set[Any] = set()
    for entry in entries:
        if _is_task(entry):
            tasks.add(entry)
        else:
            tasks.update(_behind(entry._callback if isinstance(entry, Handle) else entry))
    return frozenset(tasks)


def _is_task(candidate: Any) -> bool:
    return asyncio.isfuture(candidate) and hasattr(candidate, "get_coro")


def _behind(callback: Any) -> frozenset[Any]:
    """The tasks that have `callback` called so that they can go on."""
    owner = getattr(callback, "__self__", None)
    if _is_task(owner):
        return frozenset([owner])
    function = callback.func if isinstance(callback, functools.partial) else callback
    if not str(getattr(function, "__module__", "")).startswith("asyncio."):
        return frozenset()
    tasks, futures = set(), []
    for name, thing in _held(callback):
        if name in TASK_NAMES and thing is not None:
            tasks.add(thing)
        elif name in FUTURE_NAMES and asyncio.isfuture(thing):
            futures.append(thing)
    if futures and all(future.done() for future in futures):
        return frozenset()
    for future in futures:
        callbacks = getattr(future, "_callbacks", None) or ()
        tasks |= awaiters(pair[0] if isinstance(pair, tuple) else pair for pair in callbacks)
    return frozenset(tasks)


def _held(callback: Any) -> Iterator[tuple[str, Any]]:
    """What a callback refers to, by name: of its object, its defaults, its closure."""
    if isinstance(callback, functools.partial):
        # `_release_waiter`, the only one that asyncio adds to a future.
        yield from (("waiter", argument) for argument in callback.args)
        return
    yield from getattr(getattr(callback, "__self__", None), "__dict__", {}).items()
    code = getattr(callback, "__code__", None)
    if code is None:
        return
    defaults = callback.__defaults__ or ()
    last = code.co_argcount
    yield from zip(code.co_varnames[last - len(defaults) : last], defaults, strict=True)
    for name, cell in zip(code.co_freevars, callback.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            pass  # it has no value yet


# What other libraries say.

# From CPython 3.14 on; a type checker knows the names there only.
_public: Any = asyncio
_add_to_awaited_by: Any = getattr(asyncio, "future_add_to_awaited_by", None)
_discard_from_awaited_by: Any = getattr(asyncio, "future_discard_from_awaited_by", None)


def take_names() -> None:
    """Have `asyncio.future_add_to_awaited_by` and its opposite know futures of ours."""
    if _add_to_awaited_by is not None:
        _public.future_add_to_awaited_by = add_awaiter
        _public.future_discard_from_awaited_by = discard_awaiter


def give_back_names() -> None:
    """The last loop of ours is gone: have these names mean what they did."""
    if _add_to_awaited_by is not None:
        _public.future_add_to_awaited_by = _add_to_awaited_by
        _public.future_discard_from_awaited_by = _discard_from_awaited_by


def add_awaiter(future: Any, waiter: Any, /) -> None:
    """Note that `waiter` waits for `future` in a way of its own. Nothing happens for no futures."""
    if not hasattr(type(future), "_told_awaiters"):
        _add_to_awaited_by(future, waiter)
    elif isinstance(waiter, asyncio.Future):
        if future._told_awaiters is None:
            future._told_awaiters = set()
        future._told_awaiters.add(waiter)


def discard_awaiter(future: Any, waiter: Any, /) -> None:
    """Note that `waiter` waits for `future` no longer. Nothing happens if it did not."""
    if not hasattr(type(future), "_told_awaiters"):
        _discard_from_awaited_by(future, waiter)
    elif future._told_awaiters is not None:
        future._told_awaiters.discard(waiter)
