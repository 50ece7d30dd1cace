"""Read the file of a recording, and make a model of it: what happened, and what caused it.

The model is plain data, for the page and for other tools: see `Recording.model`. What the recorder
left out is worked out here. A cause is always an earlier event. A step begins because its entry was
queued. An entry is queued by a step, by the end of the future that was awaited, by a timer that was
due, a descriptor that was ready, a thread or a signal. The chain of causes ends at one of the last
four, or at the start.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from miniloop.study.events import Events, Tables
from miniloop.study.file import blocks_in, numbers_of
from miniloop.study.replay import Replay

__all__ = ["Recording", "read"]

FORMAT = 1


def read(path: str | os.PathLike[str]) -> Recording:
    """Read a recording. If the program was killed, it ends with the last block that was written.

    Raises OSError if the file cannot be read, `NoRecording` if it is something else.
    """
    return Recording(path)


class Recording:
    """What happened in a program, as far as it was recorded.

    `ended` is how: "returned", "stopped", "failed: " and the exception, or "cut off".
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.header: dict[str, Any] = {}
        self._tables = Tables()
        self._blocks: list[tuple[int, tuple[int, ...]]] = []
        trailer: dict[str, Any] = {"ended": "cut off", "dropped": 0}
        for letter, data in blocks_in(path):
            if letter == "L":
                self._blocks.append(numbers_of(data))
            elif letter == "T":
                self._tables.add(json.loads(data))
            elif letter == "H":
                self.header = json.loads(data)
            elif letter == "E":
                trailer = json.loads(data)
        self.ended: str = trailer["ended"]
        self.dropped: int = trailer["dropped"]

    @cached_property
    def _events(self) -> Events:
        loops: dict[int, Replay] = {}
        for loop, numbers in self._blocks:
            if loop not in loops:
                loops[loop] = Replay(Events(self._tables))
            loops[loop].run(numbers)
        runs = []
        for replay in loops.values():
            replay.finish()
            if replay.events.kind:
                runs.append(replay.events)
        return _one_after_the_other(runs) or Events(self._tables)

    def model(self) -> dict[str, Any]:
        """The model: dictionaries, lists, texts and numbers, and so ready to become JSON.

        Of loops that ran at the same time, in several threads, it has the one that did most.
        """
        header = self.header
        return {
            "format": FORMAT,
            "program": header.get("program", ""),
            "python": header.get("python", ""),
            "platform": header.get("platform", ""),
            "loop": header.get("loop", ""),
            "started": header.get("started", ""),
            "ended": self.ended,
            "dropped": self.dropped,
            "files": self._tables.files,
            "places": self._tables.places,
            **self._events.columns(),
        }


def _one_after_the_other(runs: list[Events]) -> Events | None:
    """The events of loops that ran one after the other, in one; else those of the busiest."""
    if not runs:
        return None
    runs.sort(key=lambda events: events.time[0])
    for earlier, later in pairwise(runs):
        if later.time[0] < earlier.time[-1]:
            return max(runs, key=lambda events: len(events.kind))
    first = runs[0]
    for events in runs[1:]:
        first.extend(events)
    return first
