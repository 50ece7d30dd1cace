"""Runs a program on a loop, from the first turn to the closing of the loop, and gives its trace."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.differential.clocks import Clock, ReadyQueue, RunsAway
from tests.differential.language import TICK, Program
from tests.differential.steps import Look
from tests.differential.trace import Recorder, Trace
from tests.differential.world import Callback, World, answers

__all__ = ["run_program"]

LoopMaker = Callable[[Clock, ReadyQueue], asyncio.AbstractEventLoop]

# A task may catch a CancelledError and go on, but no program is so long as to do it this often.
MOST_ROUNDS = 60


def run_program(program: Program, make_loop: LoopMaker) -> Trace:
    """What the program does on a loop of this make."""
    # By name only: to keep what they are about would keep it alive.
    warned: list[str] = []
    complaints: list[str] = []
    outer_hook = sys.unraisablehook
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, *rest: warned.append(category.__name__)
        sys.unraisablehook = lambda unraisable: complaints.append(unraisable.exc_type.__name__)
        collecting = gc.isenabled()
        gc.disable()  # what is dropped is collected where it is dropped, or else afterwards
        try:
            trace = _run_and_close(program, make_loop)
            # Nothing holds the objects of the program any more: what was never retrieved, never
            # awaited or never ended is now reported.
            gc.collect()
        finally:
            if collecting:
                gc.enable()
            sys.unraisablehook = outer_hook
    trace.late.update(("warning", kind) for kind in warned)
    trace.late.update(("unraisable", kind) for kind in complaints)
    return trace


def _run_and_close(program: Program, make_loop: LoopMaker) -> Trace:
    clock, ready = Clock(), ReadyQueue()
    loop = make_loop(clock, ready)
    recorder = Recorder(clock, ready)
    world = World(loop, recorder)
    loop.set_exception_handler(recorder.report)
    loop.set_debug(program.debug)
    loop.set_task_factory(_task_factory(program.tasks))
    ready.before_turn = _interruptions(program, world)
    clock.knocks = _knocks(program, world)
    try:
        _run(program, world)
    except RunsAway as error:
        recorder.note("driver", str(error))
    finally:
        recorder.over = True
        loop.close()
    return recorder.trace


def _run(program: Program, world: World) -> None:
    loop = world.loop
    main = world.body(world.next_number(), program.body)
    _drive(world, "main", partial(loop.run_until_complete, main))
    world.do("driver", Look())
    if program.patient:
        _run_until_idle(world)
        world.do("driver", Look())
    _cancel_all(world)
    _close_generators(world)
    _cancel_all(world)  # what the closing has begun
    world.do("driver", Look())
    world.note("driver", "names", [task.get_name() for task in world.named])
    if program.curious:
        for future in (*world.futures, *(task for _, task in world.tasks)):
            world.note("driver", "asks", [future, answers(future)])


# ---- what the program wants of its surroundings ------------------------------------------------


def _task_factory(kind: str) -> Any:
    if kind == "eager":
        return asyncio.eager_task_factory
    if kind == "foreign":
        return lambda loop, coro, **kwargs: asyncio.Task(coro, loop=loop, **kwargs)
    return None


def _interruptions(program: Program, world: World) -> Callable[[int], None]:
    by_turn: dict[int, list[Any]] = {}
    for cancel in program.cancels:
        by_turn.setdefault(cancel.turn, []).append(cancel)

    def before_turn(turn: int) -> None:
        for cancel in by_turn.get(turn, ()):
            if world.tasks:
                _, task = world.tasks[cancel.task % len(world.tasks)]
                world.note("outside", "cancels", [task, task.cancel(cancel.message)])

    return before_turn


def _knocks(program: Program, world: World) -> list[tuple[float, Callable[[], object]]]:
    """The last one first; those at the same time in their order."""
    knocks: list[tuple[float, Callable[[], object]]] = []
    for knock in sorted(program.knocks, key=lambda knock: knock.at):
        callback = Callback(world, f"k{len(knocks)}", knock.acts)
        knocks.append((knock.at * TICK, partial(world.loop.call_soon_threadsafe, callback)))
    return knocks[::-1]


# ---- running, to the very end ------------------------------------------------------------------


def _drive(world: World, what: str, run: Callable[[], Any]) -> None:
    try:
        outcome = run()
    except BaseException as error:
        if isinstance(error, RunsAway) or type(error) is KeyboardInterrupt:
            raise
        outcome = error
    world.note("driver", what, outcome)


def _run_until_idle(world: World) -> None:
    """Run until nothing is ready and no timer is set; a loop that is idle stops by itself."""
    loop = world.loop
    before = None
    while before != (world.recorder.turn(), loop.time()):
        before = world.recorder.turn(), loop.time()
        _drive(world, "runs until idle", loop.run_forever)


def _cancel_all(world: World) -> None:
    """Cancel what still runs, again and again, as long as something does."""
    for _ in range(MOST_ROUNDS):
        running = [task for _, task in world.tasks if not task.done()] or _unknown_tasks(world)
        if not running:
            return
        for task in running:
            world.note("driver", "cancels", task)
            task.cancel("the end")
        _run_until_idle(world)
    world.note("driver", "gives up")


def _unknown_tasks(world: World) -> list[Any]:
    """Those that the loop or the library made by itself, in the order in which they were made."""
    tasks = [(task.get_name(), task) for task in asyncio.all_tasks(world.loop)]
    return [task for _, task in sorted(tasks, key=lambda named: (len(named[0]), named[0]))]


def _close_generators(world: World) -> None:
    """Oldest first, on both loops: see `clocks`."""
    close = partial(world.loop.run_until_complete, world.loop.shutdown_asyncgens())
    _drive(world, "closes generators", close)
