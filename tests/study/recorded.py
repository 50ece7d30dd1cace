"""Record a program of a test, and ask what the recording says of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import miniloop
from miniloop.study import read, recording
from miniloop.study.causes import Story, chain

Main = Callable[[], Coroutine[Any, Any, Any]]


class Recorded(Story):
    """What a recording says, by the names of things."""

    def __init__(self, path: Path) -> None:
        self.recording = read(path)
        super().__init__(self.recording.model())

    def name(self, thing: int) -> str:
        return str(self.model["strings"][self._things["name"][thing]]) if thing >= 0 else ""

    def events(self, *kinds: str) -> Iterator[int]:
        """The events of these kinds."""
        for event in range(len(self._events["kind"])):
            if self.kind(event) in kinds:
                yield event

    def about(self, event: int) -> tuple[str, str, int]:
        """The name of the thing, that of the other one, and the extra number."""
        return (
            self.name(self._events["thing"][event]),
            self.name(self._events["other"][event]),
            self._events["extra"][event],
        )

    def all_about(self, *kinds: str) -> list[tuple[str, str, int]]:
        return [self.about(event) for event in self.events(*kinds)]

    def text(self, event: int) -> str:
        """The text of the line at which it happened."""
        return self.source(self._events["place"][event])

    def string(self, number: int) -> str:
        return str(self.model["strings"][number])

    def last_step_of(self, name: str) -> int:
        return [event for event in self.steps if self.about(event)[0] == name][-1]

    def causes(self, event: int) -> list[tuple[str, str]]:
        """The kinds of the causes, and the names of what they are about."""
        return [(self.kind(cause), self.about(cause)[0]) for cause in chain(self.model, event)]


def recorded(main: Main, loop: miniloop.EventLoop | None = None, **options: Any) -> Recorded:
    """Run `main()` to its end with a recorder on its loop."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.miniloop")
        loop = miniloop.new_event_loop() if loop is None else loop
        try:
            with recording(path, loop=loop, **options):
                loop.run_until_complete(main())
        finally:
            loop.close()
        return Recorded(path)
