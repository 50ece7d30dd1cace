"""What a function of the standard library waits for, by its name and by its `self`.

The future that a task waits on was made by a lock, a queue or a timer, and does not show which. But
the function that made it is on the chain of awaits. `RULES` has a rule for each such function.
`OUTER_RULES` is for functions that use a lock, an event or a queue of their own, and are what the
report should name. A rule gives None if the function waits for something else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from miniloop.study.awaiting import Link
from miniloop.study.scene import Names, Scene, Wait

__all__ = ["OUTER_RULES", "RULES", "Rule", "lock_of_a_library", "pending"]

Rule = Callable[[Link, Names, Scene], Wait | None]


def pending(futures: Iterable[Any]) -> tuple[Any, ...]:
    """Those that are not done."""
    return tuple(future for future in list(futures) if not future.done())


def _self(link: Link) -> Any:
    return link.frame.f_locals["self"]


def _when(handle: Any) -> float | None:
    return handle.when() if isinstance(handle, asyncio.TimerHandle) else None


# Locks, and what else one may hold.


def _lock(link: Link, names: Names, scene: Scene) -> Wait:
    lock = _self(link)
    holders = scene.holders(lock)
    note = ""
    if not lock.locked():
        note = "free: the task is about to be woken"
    elif not holders:
        note = "held, but nobody is inside of an `async with` on it: taken by `acquire()`"
    return Wait(
        names.describe(lock),
        on=tuple(holder.task for holder in holders),
        outside=not holders,
        holders=holders,
        note=note,
    )


def _semaphore(link: Link, names: Names, scene: Scene) -> Wait:
    semaphore = _self(link)
    holders = scene.holders(semaphore)
    slots = getattr(semaphore, "_bound_value", None)
    unknown = not holders if slots is None else len(holders) < slots
    of = "" if slots is None else f" of {slots}"
    return Wait(
        f"a slot{of} of {names.describe(semaphore)}",
        on=tuple(holder.task for holder in holders),
        every=False,
        outside=unknown,
        holders=holders,
        note="" if holders else "no holder is inside of an `async with` on it",
    )


def lock_of_a_library(link: Link, names: Names, scene: Scene) -> Wait | None:
    """Of a class that has `acquire` and `release`; whether it is a plain lock, its name says."""
    if link.frame.f_code.co_name not in ("acquire", "__aenter__"):
        return None
    lock = link.frame.f_locals.get("self")
    if not (hasattr(lock, "acquire") and hasattr(lock, "release")):
        return None
    holders = scene.holders(lock)
    return Wait(
        names.describe(lock),
        on=tuple(holder.task for holder in holders),
        outside=not holders or type(lock).__name__ != "Lock",
        holders=holders,
    )


# Events, conditions and queues.


def _event(link: Link, names: Names, scene: Scene) -> Wait:
    return Wait(f"{names.describe(_self(link))} to be set", outside=True)


def _condition(link: Link, names: Names, scene: Scene) -> Wait:
    return Wait(f"{names.describe(_self(link))} to be notified", outside=True)


def _barrier(link: Link, names: Names, scene: Scene) -> Wait:
    barrier = _self(link)
    return Wait(
        f"{names.describe(barrier)}, {barrier.n_waiting} of {barrier.parties} are there",
        outside=True,
    )


def _queue_get(link: Link, names: Names, scene: Scene) -> Wait:
    return Wait(f"an item from {names.describe(_self(link))}", outside=True)


def _queue_put(link: Link, names: Names, scene: Scene) -> Wait:
    queue = _self(link)
    return Wait(f"room in {names.describe(queue)}, full with {queue.qsize()}", outside=True)


def _queue_join(link: Link, names: Names, scene: Scene) -> Wait:
    queue = _self(link)
    return Wait(
        f"{names.describe(queue)} to be worked off: {queue._unfinished_tasks} without task_done(), "
        f"{queue.qsize()} of them still in it",
        outside=True,
    )


# Other tasks.


def _task_group(link: Link, names: Names, scene: Scene) -> Wait | None:
    tasks = pending(getattr(_self(link), "_tasks", ()))
    return Wait(f"its TaskGroup's {scene.list(tasks)}", on=tasks) if tasks else None


def _asyncio_wait(link: Link, names: Names, scene: Scene) -> Wait | None:
    local = link.frame.f_locals
    tasks = pending(local.get("fs", ()))
    if not tasks:
        return None
    every = local.get("return_when") == asyncio.ALL_COMPLETED
    return Wait(
        f"{'all' if every else 'the first'} of {scene.list(tasks)}",
        on=tasks,
        every=every,
        outside=any(not isinstance(one, asyncio.Task) for one in tasks),
        due=_when(local.get("timeout_handle")),
    )


def _as_completed(link: Link, names: Names, scene: Scene) -> Wait | None:
    iterator = _self(link)
    tasks = pending(iterator._todo)
    if not tasks:
        return None
    return Wait(
        f"the first of {scene.list(tasks)}",
        on=tasks,
        every=False,
        outside=any(not isinstance(one, asyncio.Task) for one in tasks),
        due=_when(iterator._timeout_handle),
    )


def _wait_for(link: Link, names: Names, scene: Scene) -> Wait | None:
    """Of Python 3.11, which has a future of its own there."""
    local = link.frame.f_locals
    inner = local.get("fut")
    if "waiter" not in local or not asyncio.isfuture(inner) or inner.done():
        return None
    is_task = isinstance(inner, asyncio.Task)
    return Wait(
        f"{scene.name(inner)}, by wait_for",
        on=(inner,) if is_task else (),
        outside=not is_task,
        due=_when(local.get("timeout_handle")),
    )


# Time, and the world outside.


def _sleep(link: Link, names: Names, scene: Scene) -> Wait | None:
    local = link.frame.f_locals
    due = _when(local.get("h"))
    delay = local.get("delay")
    if due is None or not isinstance(delay, int | float):
        return None
    return Wait(f"the end of sleep({delay:g})", outside=True, due=due, began=due - delay)


def _reader(link: Link, names: Names, scene: Scene) -> Wait:
    reader = _self(link)
    return Wait(f"data for {names.describe(reader)}{_peer(reader._transport)}", outside=True)


def _drain(link: Link, names: Names, scene: Scene) -> Wait:
    transport = getattr(_self(link), "_transport", None)
    return Wait(f"room in the write buffer{_peer(transport)}", outside=True)


def _peer(transport: Any) -> str:
    peer = None if transport is None else transport.get_extra_info("peername")
    return f" from {peer}" if peer else ""


def _process(link: Link, names: Names, scene: Scene) -> Wait:
    return Wait(f"process {_self(link).pid} to end", outside=True)


def _server(link: Link, names: Names, scene: Scene) -> Wait:
    return Wait(f"{names.describe(_self(link))} to be closed", outside=True)


OUTER_RULES: dict[tuple[str, str], Rule] = {
    ("asyncio.locks", "Barrier.wait"): _barrier,
    ("asyncio.queues", "Queue.join"): _queue_join,
    ("asyncio.tasks", "_AsCompletedIterator._wait_for_one"): _as_completed,  # from 3.13 on
    ("asyncio.subprocess", "Process.wait"): _process,
}

RULES: dict[tuple[str, str], Rule] = {
    ("asyncio.locks", "Lock.acquire"): _lock,
    ("asyncio.locks", "Semaphore.acquire"): _semaphore,
    ("asyncio.locks", "Event.wait"): _event,
    ("asyncio.locks", "Condition.wait"): _condition,
    ("asyncio.queues", "Queue.get"): _queue_get,
    ("asyncio.queues", "Queue.put"): _queue_put,
    ("asyncio.taskgroups", "TaskGroup.__aexit__"): _task_group,
    ("asyncio.taskgroups", "TaskGroup._aexit"): _task_group,
    ("asyncio.tasks", "_wait"): _asyncio_wait,
    ("asyncio.tasks", "wait_for"): _wait_for,
    ("asyncio.tasks", "sleep"): _sleep,
    ("asyncio.streams", "StreamReader._wait_for_data"): _reader,
    ("asyncio.streams", "FlowControlMixin._drain_helper"): _drain,
    ("miniloop.net.server", "Server.serve_forever"): _server,
    ("asyncio.base_events", "Server.serve_forever"): _server,
}
