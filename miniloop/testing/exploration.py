"""`explore`: run a test under many legal schedules, and stop at the first that fails."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any

from miniloop.kernel.task import Task
from miniloop.study.page import write
from miniloop.study.reading import read
from miniloop.study.session import Session, describe_end
from miniloop.testing import replaying
from miniloop.testing.accepted import check_number, check_test, check_whole
from miniloop.testing.choosers import Cancelling, Following, LateWalk
from miniloop.testing.execution import (
    ANYTHING,
    Outcome,
    Settings,
    Signature,
    Test,
    execute,
    network_log,
    prepared,
    signature_of,
)
from miniloop.testing.failure import Failure, not_repeatable
from miniloop.testing.minimise import minimise
from miniloop.testing.outside import Outside
from miniloop.testing.replay_file import SUFFIX, ReplayFile
from miniloop.testing.schedule import Schedule
from miniloop.testing.story import ORDER, tell, verdict_of
from miniloop.testing.strategies import AnyChooser, Strategy, parse
from miniloop.testing.trace import Trace, Tracing
from miniloop.testing.who import name_of_task

__all__ = ["Exploration", "explore", "find_failure"]

# So many schedules of lateness alone are tried, before we say that a failure needs another order.
LATE_TRIES = 150

Cancel = str | Callable[[Task[Any]], bool] | None


@dataclass(frozen=True)
class Exploration:
    """What was explored without a failure.

    `schedules` were run in `seconds`; `exhausted` if there are no more within the strategy's bound.
    """

    schedules: int
    seconds: float
    exhausted: bool
    seed: int
    strategy: str

    def __str__(self) -> str:
        every = ", which are all within the bound" if self.exhausted else ""
        return (
            f"{self.schedules} schedules passed{every}, in {self.seconds:.2f} s "
            f"(strategy {self.strategy}, seed {self.seed})"
        )


def explore(
    test: Callable[[], Coroutine[Any, Any, Any]],
    *,
    schedules: int = 1000,
    time_limit: float | None = None,
    strategy: str | Strategy = "mixed",
    seed: int = 0,
    expect: Any = ANYTHING,
    cancel: Cancel = None,
    lateness: float = 0.5,
    until: float | None = None,
    most_steps: int = 50_000,
    network: Outside | None = None,
    real_io: bool | float = False,
    patch_time: bool | float = False,
    debug: bool = False,
    save: bool = True,
    save_to: str | os.PathLike[str] = ".miniloop",
    name: str | None = None,
) -> Exploration:
    """Run `test`, a coroutine function, under many legal schedules. Raises the first Failure.

    A failure is: an exception out of the test; EverybodyWaits; an exception of another task or a
    callback that nobody saw; a result that is not `expect`; TooLong, after `until` seconds of
    virtual time or `most_steps` steps.

    `schedules` and `time_limit` (real seconds) bound the work. `strategy` is `mixed`,
    `departures` (from FIFO: none, all schedules with one, with two), `random`, `pct` or `fifo`,
    with a bound as in `departures:3` or `pct:4`. The same `seed` gives the same schedules.

    `cancel` delivers a CancelledError at each await: of every task but the test's own
    ("anywhere"), of the tasks with a name that matches a pattern, or of those that a function
    chooses. What comes out of the test as a CancelledError then is no failure.

    `lateness` is by how many seconds the steps of a run may be slow, in all; with `inf`, timeouts
    strike at each possible point. `network`, `real_io`, `patch_time` are those of `run`, and each
    run is as new.

    With `save`, the replay file of a failure, and a recording of it with its page, are written into
    the folder `save_to`. `name` is what the test is called there.
    """
    __tracebackhide__ = True  # of pytest
    check_test(test)
    check_whole("schedules", schedules, 1)
    if time_limit is not None:
        check_number("time_limit", time_limit)
    settings = Settings(
        seed=seed,
        expect=expect,
        lateness=lateness,
        until=until,
        most_steps=most_steps,
        network=network,
        real_io=real_io,
        patch_time=patch_time,
        debug=debug,
    )
    explorer = _Explorer(test, settings, parse(strategy), _cancelling(cancel), name)
    wanted = replaying.wanted_for(explorer.name)
    with prepared(settings):
        if wanted is not None:
            found = explorer.replay(wanted)
        else:
            found = explorer.search(schedules, time_limit)
        if found is not None and save and wanted is None:
            try:
                explorer.save(found, save_to, cancel)
            except OSError as error:  # the failure matters more
                found.note = f"It could not be written down: {error}"
    if found is not None:
        raise found
    return explorer.summary()


def find_failure(test: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> Failure | None:
    """As `explore`, but give the failure, or None."""
    try:
        explore(test, **options)
    except Failure as failure:
        return failure
    return None


def _cancelling(cancel: Cancel) -> Cancelling | None:
    if cancel is None or callable(cancel):
        return cancel
    if not isinstance(cancel, str):
        raise TypeError(
            "cancel must be 'anywhere', a pattern for the names of tasks, or a function of a task, "
            f"got {cancel!r}"
        )
    if cancel == "anywhere":
        return lambda task: True
    pattern = cancel
    return lambda task: fnmatchcase(name_of_task(task), pattern)


class _Explorer:
    """One exploration."""

    def __init__(
        self,
        test: Test,
        settings: Settings,
        strategy: Strategy,
        cancels: Cancelling | None,
        name: str | None,
    ) -> None:
        self.name = name or (
            f"{getattr(test, '__module__', '')}:{getattr(test, '__qualname__', repr(test))}"
        )
        self._test = test
        self._settings = settings
        self._strategy = strategy
        self._cancels = cancels
        self._begin = time.perf_counter()
        self._runs = 0
        self._exhausted = False
        self._trace = Trace()
        self._network_log: list[tuple[float, str]] = []

    def summary(self) -> Exploration:
        """What was done."""
        return Exploration(
            self._runs,
            time.perf_counter() - self._begin,
            self._exhausted,
            self._settings.seed,
            str(self._strategy),
        )

    def search(self, schedules: int, time_limit: float | None) -> Failure | None:
        """The first failure, told."""
        settings = self._settings
        runs = self._strategy.runs(
            settings.seed,
            schedules,
            settings.lateness,
            self._cancels,
            worlds=settings.network is not None,
        )
        chooser: AnyChooser = next(runs)
        while True:
            outcome = execute(self._test, chooser, settings)
            self._runs += 1
            if outcome.error is not None:
                return self._explain(chooser.schedule, outcome)
            if self._runs >= schedules:
                return None
            if time_limit is not None and time.perf_counter() - self._begin > time_limit:
                return None
            try:
                chooser = runs.send(outcome)
            except StopIteration:
                self._exhausted = True
                return None

    def replay(self, file: ReplayFile) -> Failure | None:
        """Run the one schedule of a file."""
        outcome = self._traced(file.schedule)
        self._runs = 1
        replaying.note(file, self._trace, has_passed=outcome.error is None)
        return None if outcome.error is None else self._failure(file.schedule, outcome)

    def _explain(self, schedule: Schedule, outcome: Outcome) -> Failure:
        signature = signature_of(outcome.error)
        again = self._follow(schedule)
        if signature_of(again.error) != signature:
            failure = self._failure(schedule, outcome)
            failure.note = not_repeatable(again)
            return failure
        smallest = minimise(schedule, lambda each: self._fails(each, signature))
        traced = self._traced(smallest)
        if verdict_of(smallest, self._trace) == ORDER:
            late = self._late_schedule(signature)
            if late is not None:
                smallest = minimise(late, lambda each: self._fails(each, signature))
                traced = self._traced(smallest)
        return self._failure(smallest, outcome if traced.error is None else traced)

    def _failure(self, schedule: Schedule, outcome: Outcome) -> Failure:
        verdict = verdict_of(schedule, self._trace)
        assert outcome.error is not None
        return Failure(
            self.name,
            outcome.error,
            schedule,
            verdict=verdict,
            story=tell(schedule, self._trace, verdict, self._network_log),
            runs=self._runs,
            seed=self._settings.seed,
            strategy=str(self._strategy),
        )

    def _follow(self, schedule: Schedule) -> Outcome:
        chooser = Following(schedule, lateness=self._settings.lateness)
        return execute(self._test, chooser, self._settings)

    def _traced(self, schedule: Schedule) -> Outcome:
        tracing = Tracing(schedule, lateness=self._settings.lateness)
        outcome = execute(self._test, tracing, self._settings)
        self._trace = tracing.trace
        self._network_log = network_log(self._settings)
        return outcome

    def _fails(self, schedule: Schedule, signature: Signature | None) -> bool:
        return signature_of(self._follow(schedule).error) == signature

    def _late_schedule(self, signature: Signature | None) -> Schedule | None:
        """One that fails in the same way, though nothing but lateness departs from FIFO."""
        settings = self._settings
        for number in range(LATE_TRIES):
            chooser = LateWalk(
                Random(f"{settings.seed}/late/{number}"), settings.lateness, self._cancels
            )
            outcome = execute(self._test, chooser, settings)
            if signature_of(outcome.error) == signature:
                return chooser.schedule
            if not chooser.had_a_choice:
                return None
        return None

    def save(self, failure: Failure, folder: str | os.PathLike[str], cancel: Cancel) -> None:
        """Write the replay file, and beside it a recording of the run and its page."""
        settings = self._settings
        failure.replay_file = ReplayFile(
            self.name,
            f"{type(failure.error).__name__}: {failure.error}",
            failure.strategy,
            failure.seed,
            {
                "real_io": settings.real_io,
                "patch_time": settings.patch_time,
                "until": settings.until,
                "most_steps": settings.most_steps,
                "debug": settings.debug,
            },
            failure.schedule,
            [(step.who, step.ready) for step in self._trace.steps],
        ).save(folder)
        self._record(failure, failure.replay_file)

    def _record(self, failure: Failure, replay_file: Path) -> None:
        stem = replay_file.name.removesuffix(SUFFIX)
        failure.recording = replay_file.with_name(f"{stem}.miniloop")
        failure.page = replay_file.with_name(f"{stem}.html")
        session = Session(failure.recording, program=self.name)
        chooser = Following(failure.schedule, lateness=self._settings.lateness)
        outcome = execute(self._test, chooser, self._settings, session.record)
        session.end("returned" if outcome.error is None else describe_end(outcome.error))
        first = [held.begin for held in self._trace.held]
        first += [mishap.step for mishap in self._trace.mishaps]
        write(read(failure.recording), failure.page, step=min(first, default=None))
