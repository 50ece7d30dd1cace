"""The replay file: a failing schedule, small enough to be sent by mail.

It is JSON, with:

    format      the version of this format
    test        module and name of the test, or of the script
    failure     the type of the failure, and what it said
    strategy, seed, settings      how it was found, and what to run it with
    world       of the simulated network: see `schedule.Schedule`
    departures  the schedule: see `schedule.Departure`
    labels      of tasks and callbacks: see `who`
    ready       sets of labels that were ready together
    steps       for each choice: who ran, and which of `ready` it was chosen from, both by number

So it depends on no address, no hash and no line number. `steps` is the fingerprint by which a
replay notices that the program has changed; it holds the first `MOST_STEPS` steps.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miniloop.testing.schedule import Schedule
from miniloop.testing.trace import Step

__all__ = ["FORMAT", "SUFFIX", "ReplayFile", "first_difference"]

FORMAT = 1
SUFFIX = ".schedule.json"
MOST_STEPS = 5000


@dataclass
class ReplayFile:
    """What a replay file says."""

    test: str
    failure: str
    strategy: str
    seed: int
    settings: dict[str, Any]
    schedule: Schedule
    steps: list[tuple[str, tuple[str, ...]]]  # who ran, out of whom

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ReplayFile:
        """Read a file. Raises OSError, and ValueError if it is none of ours."""
        text = Path(path).read_bytes()
        try:
            try:
                data = json.loads(text)
            except ValueError:
                data = None  # a picture, say, or half of a file
            if not isinstance(data, dict) or "miniloop" not in data:
                raise ValueError("it is not a replay file of miniloop")
            if data["format"] != FORMAT:
                raise ValueError(
                    f"its format is {data['format']}, and this miniloop reads {FORMAT}"
                )
            labels, ready = data["labels"], data["ready"]
            return cls(
                str(data["test"]),
                str(data["failure"]),
                str(data["strategy"]),
                int(data["seed"]),
                dict(data["settings"]),
                Schedule.from_lists(data["departures"], int(data["world"])),
                [
                    (labels[who], tuple(labels[each] for each in ready[among]))
                    for who, among in data["steps"]
                ],
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            why = error if type(error) is ValueError else repr(error)
            raise ValueError(f"{os.fspath(path)} cannot be replayed: {why}") from error

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write it into a folder, which is made if need be. Its name is that of the test."""
        labels = _Numbers()
        ready = _Numbers()
        steps = [
            [labels.of(who), ready.of(tuple(map(labels.of, sorted(among))))]
            for who, among in self.steps[:MOST_STEPS]
        ]
        data = {
            "miniloop": "a schedule; run it with python -m miniloop --replay FILE script.py, or "
            "pytest --miniloop-replay FILE",
            "format": FORMAT,
            "test": self.test,
            "failure": self.failure,
            "strategy": self.strategy,
            "seed": self.seed,
            "settings": self.settings,
            "world": self.schedule.world,
            "departures": self.schedule.as_lists(),
            "labels": labels.known,
            "ready": ready.known,
            "steps": steps,
        }
        lines = ",\n".join(
            f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}"
            for key, value in data.items()
        )
        text = "{\n" + lines + "\n}\n"
        name = self.test.rpartition(":")[2].rpartition("<locals>.")[2]
        safe = "".join(c if c.isalnum() or c in "_-[]" else "_" for c in name)[:80]
        # Tests of one name, and schedules of one test, lie beside each other.
        key = f"{self.test}{self.schedule.as_lists()}"
        path = Path(folder) / f"{safe}-{zlib.crc32(key.encode()):08x}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


class _Numbers:
    """Numbers for things, in the order in which they are met."""

    def __init__(self) -> None:
        self.known: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def of(self, thing: Any) -> int:
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self.known)
            self.known.append(thing)
        return number


def first_difference(recorded: list[tuple[str, tuple[str, ...]]], steps: list[Step]) -> str | None:
    """In words, the first step of a replay that is not as it was recorded; None if all are."""
    for (who, among), step in zip(recorded, steps, strict=False):
        place = step.before if step.before is not None else step.after
        where = f" at {place}" if place is not None else ""
        if who != step.who:
            return (
                f"step {step.number} differs: `{step.who}` ran{where}, "
                f"and in the recording it was `{who}`"
            )
        if sorted(among) != sorted(step.ready):
            return (
                f"step {step.number} differs: {_names(step.ready)} were ready "
                f"as `{who}` ran{where}, and in the recording {_names(among)}"
            )
    if len(recorded) != len(steps) and min(len(recorded), len(steps)) < MOST_STEPS:
        if len(steps) < len(recorded):
            return f"the run ended after step {len(steps)}; the recording has {len(recorded)} steps"
        return (
            f"step {len(recorded) + 1} is new: `{steps[len(recorded)].who}` ran, "
            "and the recording ends before it"
        )
    return None


def _names(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in sorted(labels))
