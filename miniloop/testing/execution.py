"""One run of a test: a fresh loop, a chooser, and the outcome."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from miniloop.testing.accepted import (
    check_number,
    check_whole,
    check_world,
    is_no_verdict,
    start_test,
)
from miniloop.testing.errors import UnseenError
from miniloop.testing.loop import LoopUnderTest, new_loop_under_test
from miniloop.testing.order import repeatable_sets
from miniloop.testing.outside import Outside
from miniloop.testing.queue import Chooser, ScheduledQueue
from miniloop.testing.wall import follow
from miniloop.testing.who import name_root

__all__ = [
    "ANYTHING",
    "Outcome",
    "Settings",
    "Signature",
    "execute",
    "network_log",
    "prepared",
    "signature_of",
]

Test = Callable[[], Coroutine[Any, Any, Any]]

ANYTHING: Any = object()  # the result that is expected if none is

# Seeds of networks for one seed of an exploration.
WORLDS = 1_000_003

# After this many runs the garbage collector looks at the objects that survived them again.
RUNS_BETWEEN_COLLECTIONS = 512


@dataclass
class Settings:
    """What all runs of an exploration have in common."""

    seed: int = 0
    expect: Any = ANYTHING
    lateness: float = 0.5
    until: float | None = None
    most_steps: int = 50_000
    network: Outside | None = None
    real_io: bool | float = False
    patch_time: bool | float = False
    debug: bool = False
    runs: int = 0  # so far
    running: LoopUnderTest | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_world(self.network, self.real_io, self.patch_time, self.until, self.seed)
        check_number("lateness", self.lateness)
        check_whole("most_steps", self.most_steps, 1)


def network_log(settings: Settings) -> list[tuple[float, str]]:
    """What happened to the simulated network in the last run: seconds since it began, and words."""
    return list(getattr(settings.network, "log", ()))


@dataclass
class Outcome:
    """What became of one run."""

    error: BaseException | None
    steps: int


def execute(
    test: Test,
    chooser: Chooser,
    settings: Settings,
    look: Callable[[LoopUnderTest], object] | None = None,
) -> Outcome:
    """Run the test once. Must be called inside of `prepared`.

    Raises what is neither a failure nor a success: Ctrl-C, a test that is skipped or is none.

    `look` is called with the loop before it runs, for whoever wants to observe it.
    """
    queue = ScheduledQueue(chooser, settings.most_steps)
    loop = new_loop_under_test(
        ready=queue,
        until=settings.until,
        real_io=settings.real_io,
        network=settings.network,
        seed=settings.seed * WORLDS + getattr(chooser, "world", 0),
    )
    queue.loop = settings.running = loop
    unseen: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unseen.append(context))
    if settings.debug:
        loop.set_debug(True)
    if look is not None:
        look(loop)
    random.seed(settings.seed)
    error: BaseException | None = None
    try:
        result = _run(test, loop)
        if settings.expect is not ANYTHING and result != settings.expect:
            error = AssertionError(f"the result is {result!r}, not {settings.expect!r}")
        del result
    except BaseException as raised:
        if is_no_verdict(raised):
            raise
        error = _without_our_frames(raised)
    finally:
        steps = queue.steps
        queue.free = True
        _finish(loop, queue.has_foreign_tasks)
        settings.running = None
        queue.last_entry = None
    if isinstance(error, asyncio.CancelledError) and getattr(chooser, "has_cancelled", False):
        error = None
    settings.runs += 1
    gc.collect(2 if not settings.runs % RUNS_BETWEEN_COLLECTIONS else 0)
    if error is None:
        for context in unseen:
            if context.get("exception") is not None:
                error = UnseenError(context)
                error.__cause__ = context["exception"]
                break
    unseen.clear()
    return Outcome(error, steps)


def _run(test: Test, loop: LoopUnderTest) -> Any:
    main = loop.create_task(start_test(test))
    name_root(main)
    try:
        return loop.run_until_complete(main)
    except BaseException:
        if main.done() and not main.cancelled():
            main.exception()  # it is the one that we raise, or there is a worse one
        raise


def _finish(loop: LoopUnderTest, has_foreign_tasks: bool) -> None:
    """Clean up as `asyncio.run` does, and close the loop."""
    try:
        left: list[Any] = sorted(loop.tasks, key=hash)  # oldest first: see `order`
        if has_foreign_tasks:  # looking these up takes as long as a short run
            left += sorted(asyncio.all_tasks(loop).difference(left), key=_name_of)
        if left:
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            for task in left:
                if not task.cancelled() and task.exception() is not None:
                    loop.call_exception_handler(
                        {
                            "message": "unhandled exception during the clean-up after the test",
                            "exception": task.exception(),
                            "task": task,
                        }
                    )
        loop.run_until_complete(loop.shutdown_asyncgens())
        if loop._default_executor is not None:
            loop.run_until_complete(loop.shutdown_default_executor())
    except Exception as error:
        loop.call_exception_handler({"message": "the clean-up failed", "exception": error})
    finally:
        loop.close()


def _name_of(task: asyncio.Task[Any]) -> str:
    return task.get_name()


def _without_our_frames(error: BaseException) -> BaseException:
    """The traceback from the test on: the frames that ran the loop say nothing of it."""
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None and _is_ours(traceback):
        traceback = traceback.tb_next
    return error.with_traceback(traceback) if traceback is not None else error


def _is_ours(traceback: TracebackType) -> bool:
    module = traceback.tb_frame.f_globals.get("__name__") or ""
    return str(module).startswith("miniloop.")


@contextmanager
def prepared(settings: Settings) -> Iterator[None]:
    """What the runs of one exploration need around them, and what they must leave as it was."""
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("schedules cannot be run from within a running event loop")
    state = random.getstate()
    collecting = gc.isenabled()
    # The collector runs at an arbitrary time, and what it finds is reported then. Old objects are
    # left out: to look at all of them would take longer than a short run, and no run uses them.
    gc.collect(1)
    gc.disable()

    def clock() -> Any:
        return None if settings.running is None else settings.running.virtual_clock

    try:
        with repeatable_sets(), follow(clock, settings.patch_time):
            yield
    finally:
        if collecting:
            gc.enable()
        random.setstate(state)


# Whether two failures are the same.

Signature = tuple[Any, ...]


def signature_of(error: BaseException | None) -> Signature | None:
    """What two failures of one cause have in common: the type, and the line that raised it."""
    if error is None:
        return None
    if isinstance(error, UnseenError):
        return "unseen", signature_of(error.__cause__)
    if isinstance(error, BaseExceptionGroup):
        inner = sorted(repr(signature_of(each)) for each in error.exceptions)
        return type(error).__name__, tuple(inner)
    return type(error).__qualname__, line_of(error)


def line_of(error: BaseException) -> tuple[str, int] | None:
    """The innermost line of the program in the traceback."""
    traceback = error.__traceback__
    found = None
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__") or "")
        if not module.startswith(("asyncio.", "miniloop.")):
            found = (traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found
