"""What a task waits for: the innermost `await` of its chain, in words, and who could end it.

The future that a task waits on says little: it is some waiter that a lock, a queue or a timer has
made for it. Who made it stands on the chain of awaits, as a function of the standard library whose
`self` is the lock or the queue. `_RULES` has a rule for each such function. Where none applies,
the future itself is asked: it may be a task, a `gather`, a timer or a call in a thread.

A wait that only tasks can end says which ones (`on`): whoever holds a lock, the children of a
`gather` or a `TaskGroup`. Those of an event, a queue or a bare future say nothing: anybody may set
it who knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from miniloop.study.awaiting import Link
from miniloop.study.holding import Hold

__all__ = ["Holder", "Scene", "Wait", "wait_of"]


@dataclass(frozen=True)
class Holder:
    """A task that holds what another one waits for."""

    task: Any
    hold: Hold


@dataclass(frozen=True)
class Wait:
    """What ends a wait: `on` all (`every`) or any of these tasks; or somebody else (`outside`)."""

    what: str
    on: tuple[Any, ...] = ()
    every: bool = True
    outside: bool = False
    holders: tuple[Holder, ...] = ()
    due: float | None = None  # on the loop's clock, when it ends by itself
    began: float | None = None  # likewise, where that can be known
    note: str = ""


@dataclass
class Scene:
    """What the rules may ask: who holds what, which timers there are, which descriptors."""

    now: float
    holds: dict[Any, list[Hold]] = field(default_factory=dict)
    timers: dict[int, float] = field(default_factory=dict)  # by the id of the future
    descriptors: dict[int, str] = field(default_factory=dict)  # likewise
    released: dict[Any, list[Any]] = field(default_factory=dict)  # locks given up in Condition.wait
    numbers: dict[type, list[Any]] = field(default_factory=dict)  # what was named, by its type

    def number(self, thing: Any) -> int:
        """The number by which the report tells `thing` from others of its type."""
        known = self.numbers.setdefault(type(thing), [])
        for number, other in enumerate(known, 1):
            if other is thing:
                return number
        known.append(thing)
        return len(known)

    def holders(self, thing: Any) -> tuple[Holder, ...]:
        """The tasks that hold `thing`, once for each time that they do."""
        return tuple(
            Holder(task, hold)
            for task, holds in self.holds.items()
            for hold in holds
            if hold.gives(thing) and not any(given is thing for given in self.released[task])
        )


def locks_given_up(links: list[Link]) -> list[Any]:
    """The locks of conditions that the task waits for: it is inside of the block, without them."""
    return [
        link.frame.f_locals["self"]._lock
        for link in links
        if link.function == ("asyncio.locks", "Condition.wait")
    ]


def wait_of(task: Any, links: list[Link], scene: Scene) -> Wait:
    """What the suspended `task`, whose chain is `links`, waits for."""
    awaited = task._fut_waiter
    names = _Names(links, scene)
    for link in reversed(links):
        rule = _OUTER_RULES.get(link.function)
        if rule is not None and (wait := rule(link, names, scene)) is not None:
            return wait
    for link in reversed(links):
        rule = _RULES.get(link.function)
        if rule is not None and (wait := rule(link, names, scene)) is not None:
            return wait
        if link.function[0].partition(".")[0] not in ("asyncio", "miniloop"):
            break
    return _wait_on_future(awaited, links, names, scene)


class _Names:
    """Finds what the frames of a chain call a thing."""

    def __init__(self, links: list[Link], scene: Scene) -> None:
        self.links = links
        self.scene = scene

    def of(self, thing: Any) -> str:
        """The name that the innermost frame of the program knows it by; empty if none does."""
        for link in reversed(self.links):
            if link.function[0].startswith(("asyncio.", "miniloop.")):
                continue
            local = link.frame.f_locals
            for name, value in local.items():
                if value is thing:
                    return name
            for name, value in local.items():
                for attribute, inner in getattr(value, "__dict__", {}).items():
                    if inner is thing and not isinstance(value, type):
                        return f"{name}.{attribute}"
            for name, value in link.frame.f_globals.items():
                if value is thing:
                    return name
        return ""

    def describe(self, thing: Any) -> str:
        """`Lock #2 (self.lock)`: one number for each, since each frame may call it as it likes."""
        name = self.of(thing)
        number = self.scene.number(thing)
        return f"{type(thing).__name__} #{number}{f' ({name})' if name else ''}"


Rule = Callable[[Link, _Names, Scene], Wait | None]


def _self(link: Link) -> Any:
    return link.frame.f_locals["self"]


def _lock(link: Link, names: _Names, scene: Scene) -> Wait:
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


def _semaphore(link: Link, names: _Names, scene: Scene) -> Wait:
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


def _event(link: Link, names: _Names, scene: Scene) -> Wait:
    return Wait(f"{names.describe(_self(link))} to be set", outside=True)


def _condition(link: Link, names: _Names, scene: Scene) -> Wait:
    return Wait(f"{names.describe(_self(link))} to be notified", outside=True)


def _barrier(link: Link, names: _Names, scene: Scene) -> Wait:
    barrier = _self(link)
    return Wait(
        f"{names.describe(barrier)}, {barrier.n_waiting} of {barrier.parties} are there",
        outside=True,
    )


def _queue_get(link: Link, names: _Names, scene: Scene) -> Wait:
    return Wait(f"an item from {names.describe(_self(link))}", outside=True)


def _queue_put(link: Link, names: _Names, scene: Scene) -> Wait:
    queue = _self(link)
    return Wait(f"room in {names.describe(queue)}, full with {queue.qsize()}", outside=True)


def _queue_join(link: Link, names: _Names, scene: Scene) -> Wait:
    queue = _self(link)
    return Wait(
        f"{names.describe(queue)} to be worked off: {queue._unfinished_tasks} without task_done(), "
        f"{queue.qsize()} of them still in it",
        outside=True,
    )


def _task_group(link: Link, names: _Names, scene: Scene) -> Wait | None:
    tasks = _pending(getattr(_self(link), "_tasks", ()))
    if not tasks:
        return None
    return Wait(f"its TaskGroup's {_count(tasks)}: {_names(tasks)}", on=tasks)


def _asyncio_wait(link: Link, names: _Names, scene: Scene) -> Wait | None:
    local = link.frame.f_locals
    tasks = _pending(local.get("fs", ()))
    if not tasks:
        return None
    every = local.get("return_when") == asyncio.ALL_COMPLETED
    return Wait(
        f"{'all' if every else 'the first'} of {_count(tasks)}: {_names(tasks)}",
        on=tasks,
        every=every,
        outside=any(not isinstance(one, asyncio.Task) for one in tasks),
        due=_when(local.get("timeout_handle")),
    )


def _wait_for(link: Link, names: _Names, scene: Scene) -> Wait | None:
    """Of Python 3.11, which has a future of its own there."""
    local = link.frame.f_locals
    inner = local.get("fut")
    if "waiter" not in local or not asyncio.isfuture(inner) or inner.done():
        return None
    is_task = isinstance(inner, asyncio.Task)
    return Wait(
        f"{_name(inner)}, by wait_for",
        on=(inner,) if is_task else (),
        outside=not is_task,
        due=_when(local.get("timeout_handle")),
    )


def _sleep(link: Link, names: _Names, scene: Scene) -> Wait | None:
    local = link.frame.f_locals
    due = _when(local.get("h"))
    delay = local.get("delay")
    if due is None or not isinstance(delay, int | float):
        return None
    return Wait(f"the end of sleep({delay:g})", outside=True, due=due, began=due - delay)


def _reader(link: Link, names: _Names, scene: Scene) -> Wait:
    reader = _self(link)
    return Wait(f"data for {names.describe(reader)}{_peer(reader._transport)}", outside=True)


def _drain(link: Link, names: _Names, scene: Scene) -> Wait:
    return Wait(
        f"room in the write buffer{_peer(getattr(_self(link), '_transport', None))}", outside=True
    )


# What hides a lock, a condition or an event of its own, and is the thing to name.
_OUTER_RULES: dict[tuple[str, str], Rule] = {
    ("asyncio.locks", "Barrier.wait"): _barrier,
    ("asyncio.queues", "Queue.join"): _queue_join,
}

_RULES: dict[tuple[str, str], Rule] = {
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
}


def _wait_on_future(awaited: Any, links: list[Link], names: _Names, scene: Scene) -> Wait:
    """Of which no function of the standard library says what it is for."""
    if isinstance(awaited, asyncio.Task):
        return Wait(_name(awaited), on=(awaited,))
    children = getattr(awaited, "_children", None)
    if children is not None:
        pending = _pending(children)
        return Wait(
            f"gather of {_count(pending)}: {_names(pending)}",
            on=pending,
            outside=any(not isinstance(child, asyncio.Task) for child in pending),
        )
    inner = _shielded(awaited)
    if inner is not None:
        is_task = isinstance(inner, asyncio.Task)
        return Wait(
            f"{_name(inner)}, by shield", on=(inner,) if is_task else (), outside=not is_task
        )
    if hasattr(awaited, "_call"):
        state = "running in a thread" if awaited._call.running() else "queued for a thread"
        return Wait(f"a call that is {state}", outside=True)
    due = scene.timers.get(id(awaited))
    if due is not None:
        return Wait("a timer", outside=True, due=due)
    descriptor = scene.descriptors.get(id(awaited))
    if descriptor is not None:
        return Wait(descriptor, outside=True)
    made = getattr(awaited, "_source_traceback", None)
    created = f", created at {made[-1].filename}:{made[-1].lineno}" if made else ""
    return Wait(f"a {names.describe(awaited)} to be finished{created}", outside=True)


def _shielded(future: Any) -> Any:
    """What `shield` protects, if the future is one of its; it is known to a callback only."""
    for callback in _callbacks(future):
        if getattr(callback, "__qualname__", "") == "shield.<locals>._outer_done_callback":
            for name, cell in zip(
                callback.__code__.co_freevars, callback.__closure__ or (), strict=True
            ):
                if name == "inner":
                    return cell.cell_contents
    return None


def _callbacks(future: Any) -> Iterable[Any]:
    waiting = getattr(future, "_waiting", None)  # of our futures
    if waiting is not None:
        entries = waiting if isinstance(waiting, list) else [waiting]
        return [getattr(entry, "_callback", None) for entry in entries]
    return [callback for callback, _ in getattr(future, "_callbacks", None) or ()]


def _pending(futures: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted((one for one in list(futures) if not one.done()), key=_name))


def _count(futures: tuple[Any, ...]) -> str:
    return f"{len(futures)} task{'' if len(futures) == 1 else 's'}"


def _names(futures: tuple[Any, ...]) -> str:
    shown = ", ".join(_name(future) for future in futures[:5])
    return shown if len(futures) <= 5 else f"{shown} and {len(futures) - 5} more"


def _name(future: Any) -> str:
    if isinstance(future, asyncio.Task):
        return repr(future.get_name())
    return f"a {type(future).__name__}"


def _when(handle: Any) -> float | None:
    return handle.when() if isinstance(handle, asyncio.TimerHandle) else None


def _peer(transport: Any) -> str:
    peer = None if transport is None else transport.get_extra_info("peername")
    return f" from {peer}" if peer else ""
