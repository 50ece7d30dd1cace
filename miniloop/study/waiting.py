"""What a task waits for: the innermost `await` of its chain, in words, and who could end it.

First the functions on the chain are asked, by `rules`, and where none of them says anything, the
future itself: it may be a task, a `gather`, a timer, a descriptor or a call in a thread.

A wait that only certain tasks can end names them: the holder of a lock, the children of a `gather`
or a `TaskGroup`. A wait for an event, a queue or a bare future names none: whatever refers to it
may set it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from miniloop.study.awaiting import Link, is_of_the_program
from miniloop.study.rules import OUTER_RULES, RULES, lock_of_a_library, pending
from miniloop.study.scene import Names, Scene, Wait

__all__ = ["locks_given_up", "wait_of"]


def locks_given_up(links: list[Link]) -> list[Any]:
    """The locks of conditions that the task waits for. It is in their blocks without them."""
    return [
        link.frame.f_locals["self"]._lock
        for link in links
        if link.function == ("asyncio.locks", "Condition.wait")
    ]


def wait_of(task: Any, links: list[Link], scene: Scene) -> Wait:
    """What the suspended `task`, whose chain is `links`, waits for."""
    names = Names(links, scene)
    for link in reversed(links):
        if (rule := OUTER_RULES.get(link.function)) and (wait := rule(link, names, scene)):
            return wait
    for link in reversed(links):
        if (rule := RULES.get(link.function)) and (wait := rule(link, names, scene)):
            return wait
        if not link.is_of("asyncio", "miniloop"):
            break
    for link in reversed(links):
        if not is_of_the_program(link.frame) and (wait := lock_of_a_library(link, names, scene)):
            return wait
    return _wait_on_future(task._fut_waiter, links, names, scene)


def _wait_on_future(awaited: Any, links: list[Link], names: Names, scene: Scene) -> Wait:
    """The wait on a future for which there is no rule."""
    if isinstance(awaited, asyncio.Task):
        return Wait(scene.name(awaited), on=(awaited,))
    children = getattr(awaited, "_children", None)
    if children is not None:
        left = pending(children)
        return Wait(
            f"gather of {scene.list(left)}",
            on=left,
            outside=any(not isinstance(child, asyncio.Task) for child in left),
        )
    inner = _shielded(awaited)
    if inner is not None:
        is_task = isinstance(inner, asyncio.Task)
        return Wait(
            f"{scene.name(inner)}, by shield", on=(inner,) if is_task else (), outside=not is_task
        )
    call = getattr(awaited, "_call", None)
    if call is not None:
        state = "running in a thread" if call.running() else "queued for a thread"
        return Wait(f"a call that is {state}", outside=True)
    due = scene.timers.get(id(awaited))
    if due is not None:
        return Wait("a timer", outside=True, due=due)
    descriptor = scene.descriptors.get(id(awaited))
    if descriptor is not None:
        return Wait(descriptor, outside=True)
    return Wait(
        f"a {names.describe(awaited)} to be finished{_origin(awaited, links)}", outside=True
    )


def _origin(awaited: Any, links: list[Link]) -> str:
    """Where a bare future was made, if that is known, or which library awaits it."""
    made = getattr(awaited, "_source_traceback", None)
    if made:
        return f", created at {made[-1].filename}:{made[-1].lineno}"
    for link in reversed(links):
        if not link.is_of("asyncio", "miniloop"):
            if is_of_the_program(link.frame):
                break
            module, function = link.function
            return f", in {function} of {module.partition('.')[0]}"
    return ""


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
