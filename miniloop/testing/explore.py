"""`explore`: run a test under many legal schedules, and stop at the first that fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from miniloop.testing.choosers import Cancelling, Following
from miniloop.testing.execution import (
    ANYTHING,
    Settings,
    Test,
    execute,
    prepared,
    signature_of,
)
from miniloop.testing.schedule import Schedule
from miniloop.testing.strategies import AnyChooser, Strategy, parse

@dataclass(frozen=True)
class Exploration:
    schedules: int
    seconds: float
    exhausted: bool
    seed: int
    strategy: str

def search(test: Test, settings: Settings, strategy: Strategy, schedules: int, time_limit: float|None, cancels):
    begin = time.perf_counter()
    runs = strategy.runs(settings.seed, schedules, settings.lateness, cancels)
    chooser = next(runs)
    count = 0
    while True:
        outcome = execute(test, chooser, settings)
        count += 1
        if outcome.error is not None:
            return count, chooser, outcome
        if count >= schedules: break
        try: chooser = runs.send(outcome)
        except StopIteration: break
    return count, None, None
