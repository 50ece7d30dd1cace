"""Running one schedule again: from a file, from a failure, or made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from miniloop.testing.accepted import check_test
from miniloop.testing.execution import ANYTHING, Settings, execute, network_log, prepared
from miniloop.testing.failure import Failure
from miniloop.testing.replay_file import ReplayFile, first_difference
from miniloop.testing.schedule import Schedule
from miniloop.testing.story import tell, verdict_of
from miniloop.testing.trace import Tracing

__all__ = ["Replay", "replay", "run_schedule"]


@dataclass(frozen=True)
class Replay:
    """What a replay was like.

    `error` is what the test raised, or None; `diverged` names the first step at which the run
    differs from the recorded one, or is None; `story` is told anew from this run.
    """

    error: BaseException | None
    diverged: str | None
    story: str


def replay(
    what: str | os.PathLike[str] | Schedule | Failure,
    test: Callable[[], Coroutine[Any, Any, Any]],
    **options: Any,
) -> Replay:
    """Run `test` under a schedule once more.

    If the program has changed since it was recorded, departures whose task does not exist have no
    effect, and the rest of the run is FIFO. `options` are those of `explore` that say what the
    world is like. Raises OSError or ValueError for a file that cannot be read.
    """
    check_test(test)
    file: ReplayFile | None = None
    if isinstance(what, Schedule):
        schedule = what
    elif isinstance(what, Failure):
        schedule = what.schedule
    else:
        file = ReplayFile.load(what)
        schedule = file.schedule
        options = {**file.settings, "seed": file.seed, **options}
    settings = Settings(**options)
    tracing = Tracing(schedule, lateness=settings.lateness)
    with prepared(settings):
        outcome = execute(test, tracing, settings)
    diverged = None if file is None else first_difference(file.steps, tracing.trace.steps)
    verdict = verdict_of(schedule, tracing.trace)
    story = tell(schedule, tracing.trace, verdict, network_log(settings))
    return Replay(outcome.error, diverged, story)


def run_schedule(
    test: Callable[[], Coroutine[Any, Any, Any]],
    schedule: Schedule,
    *,
    expect: Any = ANYTHING,
    **options: Any,
) -> None:
    """Run `test` under one schedule, and raise what it raises. For Hypothesis: see `schedules`."""
    check_test(test)
    settings = Settings(expect=expect, **options)
    with prepared(settings):
        outcome = execute(test, Tracing(schedule, lateness=settings.lateness), settings)
    if outcome.error is not None:
        raise outcome.error
