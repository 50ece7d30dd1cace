"""`check_determinism`: whether a test does the same when it is run the same way.

A schedule can only be minimised and replayed if everything else is the same in each run. A test run
controls the clock, `random` (it is seeded), the order of sets of tasks and futures, and the order
in which threads hand over. It does not control real clocks, `os.urandom` and `uuid4`, sets of other
objects, `id()`, threads that run at the same time, real I/O, what the program keeps from one run to
the next, and sets of strings, whose order differs between processes.

So a schedule is run twice, and the first step at which the two differ is named. Then the likely
sources are checked one by one: if the runs are the same without one of them, it is the cause.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from miniloop.testing.accepted import check_test, check_whole
from miniloop.testing.choosers import RandomWalk
from miniloop.testing.errors import NotDeterministic
from miniloop.testing.execution import Settings, Test, execute, prepared, signature_of
from miniloop.testing.other_processes import difference_between_processes
from miniloop.testing.outside import Outside
from miniloop.testing.schedule import Schedule
from miniloop.testing.trace import Step, Tracing
from miniloop.testing.wall import follow

__all__ = ["check_determinism"]

PAIRS = 4


def check_determinism(
    test: Callable[[], Coroutine[Any, Any, Any]],
    *,
    seed: int = 0,
    schedules: int = 10,
    network: Outside | None = None,
    real_io: bool | float = False,
    patch_time: bool | float = False,
    until: float | None = None,
    most_steps: int = 50_000,
    processes: bool = False,
) -> None:
    """Run each of some schedules twice. Raises NotDeterministic at the first difference.

    The error names the first step that differs, and the likely source.

    `processes`: run it in two more processes too, where strings have other hashes, and so sets of
    them another order. A replay file is only good for another process if that makes no difference.
    These import the module of the test. Raises ValueError if they cannot.
    """
    check_test(test)
    check_whole("schedules", schedules, 1)
    if processes and network is not None:
        raise ValueError("processes=True goes without network=: another process has its own")
    settings = Settings(
        seed=seed,
        network=network,
        real_io=real_io,
        patch_time=patch_time,
        until=until,
        most_steps=most_steps,
    )
    with prepared(settings):
        schedule = Schedule()
        for number in range(schedules):
            difference = _difference(test, schedule, settings)
            if difference is not None:
                break
            walk = RandomWalk(random.Random(f"{seed}/check/{number}"), settings.lateness, None)
            execute(test, walk, settings)
            schedule = walk.schedule
        likely = "" if difference is None else _likely_source(test, schedule, settings)
    if difference is None and processes:
        alike = ("seed", "real_io", "patch_time", "until", "most_steps")
        difference = difference_between_processes(
            test, {name: getattr(settings, name) for name in alike}
        )
        likely = _OF_PROCESSES
    if difference is not None:
        raise NotDeterministic(difference, likely)


def _difference(test: Test, schedule: Schedule, settings: Settings) -> str | None:
    """Where two runs of a schedule differ, in words."""
    first, first_error = _run(test, schedule, settings)
    second, second_error = _run(test, schedule, settings)
    for one, other in zip(first, second, strict=False):
        if _looks(one) != _looks(other):
            return (
                f"step {one.number} of two runs differs: {one.in_words()}, then {other.in_words()}"
            )
    if len(first) != len(second):
        return f"one run has {len(first)} steps, and the next one {len(second)}"
    if signature_of(first_error) != signature_of(second_error):
        return f"one run ends with {first_error!r}, and the next one with {second_error!r}"
    return None


def _run(
    test: Test, schedule: Schedule, settings: Settings
) -> tuple[list[Step], BaseException | None]:
    tracing = Tracing(schedule, lateness=settings.lateness)
    error = execute(test, tracing, settings).error
    return tracing.trace.steps, error


def _looks(step: Step) -> tuple[Any, ...]:
    return step.who, step.run, step.ready, step.before, step.after, step.time


# Sources, each with what removes it.


def _likely_source(test: Test, schedule: Schedule, settings: Settings) -> str:
    before = threading.active_count()
    used: set[str] = set()
    with _watched(used):
        _run(test, schedule, settings)
    if "threads" in used or threading.active_count() > before:
        return "threads: what they do at once comes in any order"
    for name, called_off in _SOURCES.items():
        with called_off():
            if _runs_are_alike(test, schedule, settings):
                return name
    with ExitStack() as stack:
        for called_off in _SOURCES.values():
            stack.enter_context(called_off())
        if _runs_are_alike(test, schedule, settings):
            return ", and ".join(_SOURCES)
    if settings.real_io is not False:
        return "real I/O: the kernel and peers take as long as they take"
    return (
        "the order of a set of objects, which is that of their addresses (id()), "
        "or something that the test keeps from one run to the next"
    )


def _runs_are_alike(test: Test, schedule: Schedule, settings: Settings) -> bool:
    """Whether some pairs of runs do not differ: one pair may be alike by chance."""
    return all(_difference(test, schedule, settings) is None for _ in range(PAIRS))


@contextmanager
def _watched(used: set[str]) -> Iterator[None]:
    start = threading.Thread.start

    def noted(self: threading.Thread) -> None:
        used.add("threads")
        start(self)

    with mock.patch.object(threading.Thread, "start", noted):
        yield


class _Ticking:
    """A clock that counts how often it was asked, so that two runs see the same."""

    def __init__(self) -> None:
        self._now = 0.0

    @property
    def now(self) -> float:
        self._now += 1e-6
        return self._now

    @now.setter
    def now(self, now: float) -> None:
        self._now = now


@contextmanager
def _with_a_clock_that_counts() -> Iterator[None]:
    clock: Any = _Ticking()

    def reset() -> None:
        clock.now = 0.0

    with follow(lambda: clock, 0.0), _reset_before_each_run(reset):
        yield


@contextmanager
def _without_entropy() -> Iterator[None]:
    """Random bytes come from `os.urandom`, which some modules have imported by name."""
    generator = random.Random(0)
    original = os.urandom

    def urandom(size: int) -> bytes:
        return generator.randbytes(size)

    with ExitStack() as stack:
        for module in list(sys.modules.values()):
            space: Any = getattr(module, "__dict__", None)
            for name in list(space) if type(space) is dict else ():
                if space[name] is original:
                    stack.callback(space.__setitem__, name, original)
                    space[name] = urandom
        stack.enter_context(_reset_before_each_run(lambda: generator.seed(0)))
        yield


@contextmanager
def _reset_before_each_run(reset: Callable[[], object]) -> Iterator[None]:
    """Call `reset` as `random` is seeded, which is how a run begins."""
    seed = random.seed

    def seed_and_reset(*args: Any) -> None:
        reset()
        seed(*args)

    with mock.patch.object(random, "seed", seed_and_reset):
        yield


_OF_PROCESSES = (
    "the order of a set of strings, which is another one in each process: sort what you go "
    "through, or set PYTHONHASHSEED in the environment"
)

_SOURCES: dict[str, Callable[[], Any]] = {
    "the real clock (time.time, time.monotonic, ...): patch_time=True makes it follow the virtual "
    "one": _with_a_clock_that_counts,
    "randomness of the system (os.urandom, uuid4, secrets, SystemRandom)": _without_entropy,
}
