"""Who waits for whom: every task of a loop, where it stands, what it waits for, and who holds that.

    miniloop.study.dump_waits()             # of the running loop, to standard error
    print(miniloop.study.waits_of(loop))    # of any loop, ours or asyncio's

No recorder is needed, and nothing is changed: the frames of the suspended coroutines are looked at
where they stand. It may be done from a step of the loop, from a handler of a signal, and from
another thread. There the loop may go on meanwhile, so the parts of the report may not match.

The report says what it cannot know: who took a lock by `acquire()`, who would set an event, and for
how long a task has waited if there is no `stopwatch`.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import AbstractEventLoop
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TextIO

from miniloop.kernel.future import AWAIT_CODE
from miniloop.kernel.handle import Handle
from miniloop.kernel.registry import loops
from miniloop.kernel.scheduler import POLL_INTERVAL, Scheduler
from miniloop.kernel.task import Task
from miniloop.loop import EventLoop
from miniloop.study.awaiting import (
    Link,
    Place,
    chain,
    has_begun,
    is_of_the_program,
    place_of,
    running_frames,
)
from miniloop.study.holding import Hold, holds_of
from miniloop.study.rings import Needs, rings_among, stuck
from miniloop.study.scene import Scene, Wait
from miniloop.study.stopwatch import waiting_since
from miniloop.study.waiting import locks_given_up, wait_of
from miniloop.study.wakers import descriptors, signal_handlers, threads_at_work

__all__ = ["EverybodyWaits", "TaskState", "Waits", "dump_waits", "waits_of"]

# Our own frames between the start of the loop and the code of the program. (A compiled kernel has
# none; `EventLoop.run_forever` is Python in any build.)
_STEPS = {
    Scheduler.run_forever.__code__,
    Scheduler.run_turns.__code__,
    Task._run.__code__,
    Handle._run.__code__,
}


@dataclass(frozen=True)
class TaskState:
    """One task: `state` is `waits`, `ready`, `runs` or `has not begun`.

    `places` are the lines of the program that it stands on, outermost first, or those of libraries
    if it has none; `wait` what it waits for, if it does; `gives_up` the time on the loop's clock at
    which a timeout strikes; `since` the time at which it began to wait, or None.
    """

    task: Any
    name: str
    state: str
    places: tuple[Place, ...]
    wait: Wait | None = None
    gives_up: float | None = None
    since: float | None = None

    @property
    def needs(self) -> Needs:
        """The tasks that it needs to go on."""
        wait = self.wait
        if wait is None:
            return Needs((), free=True)
        timed = wait.due is not None or self.gives_up is not None
        return Needs(wait.on, wait.every, free=timed or wait.outside)


@dataclass(frozen=True)
class Waits:
    """The tasks of a loop, in the order of their names. `str()` of it is the report.

    `rings` are those that can never go on, each in the order in which its tasks wait for each
    other; `behind` are the tasks that wait for one of a ring. `now` is the loop's time, `loop` what
    it is at, and `runs` the lines on which its thread is, if it is awake. `wakers` could wake it.
    """

    now: float
    loop: str
    tasks: tuple[TaskState, ...]
    runs: tuple[Place, ...] = ()
    wakers: tuple[str, ...] = ()
    rings: tuple[tuple[str, ...], ...] = ()
    behind: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return "\n".join(_report(self))


class EverybodyWaits(RuntimeError):
    """Tasks are pending, and nothing is left that could wake any of them.

    `waits` says who waits for what; the message has it in words.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.waits = waits_of(loop)
        count = len(self.waits.tasks)
        everybody = "the only task waits" if count == 1 else f"all {count} tasks wait"
        tasks = "\n".join(_tasks(self.waits))
        super().__init__(
            f"{everybody}, and nothing is left that could wake a task: no timer, no descriptor, "
            f"no thread at work, no signal handler\n{tasks}"
        )


def dump_waits(loop: AbstractEventLoop | None = None, *, file: TextIO | None = None) -> None:
    """Print who waits for whom in `loop` (default: the running one, or else every miniloop).

    `file` is where to (default: standard error).
    """
    which = [loop] if loop is not None else _default_loops()
    for each in which:
        print(waits_of(each), file=sys.stderr if file is None else file)


def _default_loops() -> list[Any]:
    running = asyncio._get_running_loop()
    return loops() if running is None else [running]


def waits_of(loop: AbstractEventLoop) -> Waits:
    """Who waits for whom in `loop`, which may be one of asyncio's too."""
    chains = _chains(loop)
    scene = _scene(loop, chains)
    runs = _places_in(_running(loop))
    current = asyncio.current_task(loop)
    states = [
        _running_state(task, runs, scene)
        if task is current
        else _state(task, links, scene, waiting_since(loop, task))
        for task, links in chains.items()
    ]
    needs = {state.task: state.needs for state in states}
    names = scene.names
    rings = tuple(tuple(names[task] for task in ring) for ring in rings_among(needs))
    ringed = {name for ring in rings for name in ring}
    behind = {names[task] for task in stuck(needs)} - ringed
    wakers = [*descriptors(loop), *signal_handlers(loop), *threads_at_work(loop)]
    return Waits(
        scene.now,
        _describe_loop(loop, scene.now),
        tuple(states),
        runs,
        tuple(wakers),
        rings,
        frozenset(behind),
    )


def _chains(loop: AbstractEventLoop) -> dict[Any, list[Link]]:
    """What each pending task stands on, in an order that is the same in each run of the program.

    A task that was given no name gets one when it is asked, so that they must be asked in order.
    """
    found = {task: chain(task.get_coro()) for task in asyncio.all_tasks(loop) if not task.done()}
    places = {task: _places_in([link.frame for link in found[task]]) for task in found}
    unnamed = sorted(found, key=lambda task: str(places[task]))
    return {
        task: found[task] for task in sorted(unnamed, key=lambda task: _sort_key(task.get_name()))
    }


def _sort_key(name: str) -> tuple[str, int]:
    """`Task-10` comes after `Task-9`."""
    letters = name.rstrip("0123456789")
    number = name[len(letters) :]
    return letters, int(number) if number else -1


def _names(tasks: list[Any]) -> dict[Any, str]:
    """The names of the tasks; where two have the same, a number tells them apart."""
    given: dict[str, int] = {}
    names: dict[Any, str] = {}
    for task in tasks:
        name = task.get_name()
        number = given[name] = given.get(name, 0) + 1
        names[task] = name if number == 1 else f"{name} ({number})"
    return names


def _scene(loop: AbstractEventLoop, chains: dict[Any, list[Link]]) -> Scene:
    scene = Scene(loop.time(), _names(list(chains)))
    for task, links in chains.items():
        scene.holds[task] = holds_of(links)
        scene.given_up[task] = locks_given_up(links)
    for when, handle in _timers(loop):
        for argument in getattr(handle, "_args", None) or ():
            if asyncio.isfuture(argument):
                scene.timers[id(argument)] = when
    for watch in list(getattr(getattr(loop, "poller", None), "watches", {}).values()):
        for waiter in watch.read_waiters:
            scene.descriptors[id(waiter)] = f"descriptor {watch.fd} to be readable"
        for waiter in watch.write_waiters:
            scene.descriptors[id(waiter)] = f"descriptor {watch.fd} to be writable"
    return scene


def _timers(loop: AbstractEventLoop) -> Iterator[tuple[float, Any]]:
    timers = getattr(loop, "timers", None)
    if timers is not None:
        yield from ((when, handle) for when, _, handle in list(timers.entries))
    else:  # one of asyncio's
        yield from ((handle.when(), handle) for handle in list(getattr(loop, "_scheduled", ())))


def _running(loop: AbstractEventLoop) -> list[FrameType]:
    """The frames of what a loop runs now."""
    outermost = EventLoop.run_forever if isinstance(loop, EventLoop) else asyncio.Handle._run
    frames = running_frames(getattr(loop, "_thread_id", None), outermost.__code__)
    return [frame for frame in frames if frame.f_code not in _STEPS]


def _running_state(task: Any, runs: tuple[Place, ...], scene: Scene) -> TaskState:
    gives_up = _timeout_of(scene.holds[task])
    return TaskState(task, scene.names[task], "runs", runs, None, gives_up)


def _state(task: Any, links: list[Link], scene: Scene, seen: float | None) -> TaskState:
    name = scene.names[task]
    gives_up = _timeout_of(scene.holds[task])
    places = _places_in([link.frame for link in links])
    awaited = task._fut_waiter
    if awaited is None or awaited.done():
        state = "ready" if has_begun(task.get_coro()) else "has not begun"
        return TaskState(task, name, state, places, None, gives_up)
    wait = wait_of(task, links, scene)
    return TaskState(
        task, name, "waits", places, wait, gives_up, seen if wait.began is None else wait.began
    )


def _places_in(frames: list[Any]) -> tuple[Place, ...]:
    own = [frame for frame in frames if is_of_the_program(frame)]
    library = [frame for frame in frames if frame.f_code is not AWAIT_CODE]
    return tuple(place_of(frame) for frame in own or library)


def _timeout_of(holds: list[Hold]) -> float | None:
    """When the first of the timeouts strikes that the task is inside of."""
    ends = [hold.deadline() for hold in holds]
    return min((end for end in ends if end is not None), default=None)


def _describe_loop(loop: AbstractEventLoop, now: float) -> str:
    kind = _kind_of(loop)
    if not loop.is_running():
        return f"{kind} is not running"
    if not isinstance(loop, EventLoop):
        return f"{kind} is running"
    # A poll sets the time of the next one.
    polled = _seconds(now - (loop.next_poll - POLL_INTERVAL))
    if loop.asleep:
        return f"{kind} is asleep, after it was last woken {polled} ago"
    return f"{kind} runs a step, and last came from the kernel {polled} ago"


def _kind_of(loop: AbstractEventLoop) -> str:
    """The name of its class; of ours, whatever name of asyncio's it goes by here."""
    kind = type(loop)
    return "miniloop.EventLoop" if kind.__module__.startswith("miniloop.") else kind.__name__


# The report.


def _report(waits: Waits) -> Iterator[str]:
    count = len(waits.tasks)
    yield f"{waits.loop}; {count} task{'' if count == 1 else 's'}:"
    if waits.runs and not any(state.state == "runs" for state in waits.tasks):
        yield f"  a callback runs at {', called by '.join(map(str, reversed(waits.runs)))}"
    yield from _tasks(waits)
    if waits.wakers:
        yield f"  could wake it: {', '.join(waits.wakers)}"


def _tasks(waits: Waits) -> Iterator[str]:
    ringed = {name: ring for ring in waits.rings for name in ring}
    names = {state.task: state.name for state in waits.tasks}
    for state in waits.tasks:
        place = f" at {state.places[-1]}" if state.places else ""
        since = "" if state.since is None else f" {_seconds(waits.now - state.since)}"
        yield f"  {state.name!r}{place}"
        wait = state.wait
        if wait is None:
            yield f"      {state.state}"
        else:
            yield f"      waits{since} for {wait.what}{_end(state, waits.now)}"
            for holder in wait.holders:
                who = "itself" if holder.task is state.task else repr(names[holder.task])
                yield f"      held by {who} since {holder.hold.entered}"
            if wait.note:
                yield f"      ({wait.note})"
        if len(state.places) > 1:
            yield f"      called by {', '.join(map(str, reversed(state.places[:-1])))}"
        if state.name in ringed:
            yield "      IN A RING"
        elif state.name in waits.behind:
            yield "      behind a ring"
    for ring in waits.rings:
        yield f"  RING: {' -> '.join(map(repr, [*ring, ring[0]]))}"


def _end(state: TaskState, now: float) -> str:
    """When a wait will end by itself."""
    assert state.wait is not None
    if state.wait.due is not None:
        return f", {_seconds(state.wait.due - now)} left"
    if state.gives_up is not None:
        return f"; its timeout strikes in {_seconds(state.gives_up - now)}"
    return ""


def _seconds(amount: float) -> str:
    amount = max(0.0, amount)
    return f"{amount:.{2 if amount < 1 else 1 if amount < 100 else 0}f} s"
