"""What `explore` raises: the failure, its smallest schedule, and its story."""

from __future__ import annotations

from pathlib import Path

from miniloop.testing.execution import Outcome
from miniloop.testing.schedule import Departure, Schedule

__all__ = ["Failure"]


class Failure(AssertionError):
    """A test has failed under some schedule. What it raised is the cause (`error`).

    * `schedule`: the smallest one found, with its `departures`;
    * `verdict`: what the failure needs. `always`: nothing, it fails in FIFO order; `lateness`: that
      something is late, as it may be on any loop; `order`: another order than FIFO among the tasks
      that are ready; `cancellation`;
    * `story`: in words, with file and line;
    * `runs`: how many schedules were run until it was found; `seed`, `strategy`;
    * `replay_file`, `recording`, `page`: what was written, or None.
    """

    def __init__(
        self,
        test: str,
        error: BaseException,
        schedule: Schedule,
        *,
        verdict: str,
        story: str,
        runs: int,
        seed: int,
        strategy: str,
    ) -> None:
        self.test = test
        self.error = error
        self.schedule = schedule
        self.verdict = verdict
        self.story = story
        self.runs = runs
        self.seed = seed
        self.strategy = strategy
        self.replay_file: Path | None = None
        self.recording: Path | None = None
        self.page: Path | None = None
        self.note: str | None = None  # a further line for the report
        self.replayed_by = "python -m miniloop --replay FILE script.py"  # FILE is `replay_file`
        super().__init__(test)
        self.__cause__ = error

    @property
    def departures(self) -> tuple[Departure, ...]:
        """Where the schedule departs from FIFO, each in words by `str`."""
        return self.schedule.departures

    def __str__(self) -> str:
        text = str(self.error)
        what = type(self.error).__name__ + (f": {text}" if text else "")
        lines = [
            f"{self.test} fails in schedule {self.runs} "
            f"(strategy {self.strategy}, seed {self.seed})",
            f"    {what.replace(chr(10), chr(10) + '    ')}",
            self.story,
        ]
        if self.note:
            lines.append(self.note)
        if self.replay_file is not None:
            lines.append(f"Replay: {self.replay_file}  ({self.replayed_by})")
        for name, path in (("Recording", self.recording), ("Page", self.page)):
            if path is not None:
                lines.append(f"{name}: {path}")
        return "\n".join(lines)


def not_repeatable(outcome: Outcome) -> str:
    """What is said of a failure that another run of its schedule does not show."""
    second = "passed" if outcome.error is None else f"raised {outcome.error!r}"
    return (
        f"A second run of the same schedule {second}: the test is not deterministic. "
        "miniloop.testing.check_determinism(test) says where runs differ."
    )
