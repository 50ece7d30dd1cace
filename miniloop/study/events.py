"""The columns of a model: things and events, each a row of numbers."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["KINDS", "Events", "Tables"]

KINDS = [
    "turn",
    "begun",
    "suspended",
    "ended",
    "queued",
    "timer set",
    "timer due",
    "timer cancelled",
    "swept",
    "wait",
    "woke",
    "ready",
    "finished",
    "cancel",
    "handed",
    "thread busy",
    "thread idle",
    "created",
    "failed",
    "signal",
    "watched",
    "unwatched",
    "unseen",
]


# Private functions of asyncio, and the public names by which a program knows them.
_BETTER_NAMES = {"_set_result_unless_cancelled": "end of sleep"}


class Tables:
    """The files and places that records refer to, and names that have no place."""

    def __init__(self) -> None:
        self.files: list[dict[str, Any]] = []
        self.places: list[list[Any]] = []
        self.names: list[str] = []
        self._lines: dict[int, list[str]] = {}

    def add(self, new: dict[str, Any]) -> None:
        """What a block of the file adds."""
        self.files += new["files"]
        self.names += new["names"]
        for file, line, function in new["places"]:
            source = self._lines_of(file)
            if line <= len(source) and source[line - 1].lstrip().startswith("@"):
                line = _line_of_def(source, line, function)
            self.places.append([file, line, function])

    def _lines_of(self, file: int) -> list[str]:
        lines = self._lines.get(file)
        if lines is None:
            lines = self._lines[file] = (self.files[file]["source"] or "").splitlines()
        return lines

    def name_of(self, what: int) -> str:
        """What a callback or a coroutine is called."""
        if what <= -2:
            index = -2 - what
            return self.names[index] if index < len(self.names) else "?"
        if 0 <= what < len(self.places):
            name = str(self.places[what][2]).replace("<locals>.", "")
            return _BETTER_NAMES.get(name, name)
        return "?"

    def place_of(self, what: int) -> int:
        """The place of what has one."""
        return what if 0 <= what < len(self.places) else -1


def _line_of_def(source: list[str], line: int, function: str) -> int:
    """Where a function begins for a reader: for the interpreter it begins with its decorators."""
    begins = re.compile(rf"\s*(?:async )?def {re.escape(function.rpartition('.')[2])}\b")
    for number, text in enumerate(source[line - 1 :], line):
        if begins.match(text):
            return number
    return line


class Events:
    """Events, and the things that they are about."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.strings: list[str] = []
        self._string_numbers: dict[str, int] = {}
        # Things.
        self.thing_kind: list[str] = []
        self.thing_name: list[str] = []
        self.thing_place: list[int] = []
        self.thing_parent: list[int] = []
        self.thing_born: list[int] = []
        # Events.
        self.kind: list[int] = []
        self.time: list[int] = []
        self.thing: list[int] = []
        self.other: list[int] = []
        self.place: list[int] = []
        self.cause: list[int] = []
        self.extra: list[int] = []

    def add(
        self,
        kind: int,
        time: int,
        thing: int = -1,
        other: int = -1,
        place: int = -1,
        cause: int = -1,
        extra: int = 0,
    ) -> int:
        """Add an event. Returns its number."""
        number = len(self.kind)
        self.kind.append(kind)
        self.time.append(time)
        self.thing.append(thing)
        self.other.append(other)
        self.place.append(place)
        self.cause.append(cause)
        self.extra.append(extra)
        return number

    def add_thing(self, kind: str, name: str, place: int = -1, parent: int = -1) -> int:
        """Add a thing, which is born with the next event. Returns its number."""
        self.thing_kind.append(kind)
        self.thing_name.append(name)
        self.thing_place.append(place)
        self.thing_parent.append(parent)
        self.thing_born.append(len(self.kind))
        return len(self.thing_kind) - 1

    def string(self, text: str) -> int:
        """The number of a text."""
        number = self._string_numbers.get(text)
        if number is None:
            number = self._string_numbers[text] = len(self.strings)
            self.strings.append(text)
        return number

    def extend(self, later: Events) -> None:
        """Add all events and things of another loop, which ran later."""
        things, events = len(self.thing_kind), len(self.kind)

        def shift(numbers: list[int], by: int) -> list[int]:
            return [number if number < 0 else number + by for number in numbers]

        self.thing_kind += later.thing_kind
        self.thing_name += later.thing_name
        self.thing_place += later.thing_place
        self.thing_parent += shift(later.thing_parent, things)
        self.thing_born += shift(later.thing_born, events)
        texts = [self.string(text) for text in later.strings]
        refers = {KINDS.index("failed"), KINDS.index("unseen")}
        self.extra += [
            texts[extra] if kind in refers else extra
            for kind, extra in zip(later.kind, later.extra, strict=True)
        ]
        self.kind += later.kind
        self.time += later.time
        self.thing += shift(later.thing, things)
        self.other += shift(later.other, things)
        self.place += later.place
        self.cause += shift(later.cause, events)

    def columns(self) -> dict[str, Any]:
        """The part of the model that is made of columns."""
        things = {
            "kind": self.thing_kind,
            "name": [self.string(name) for name in self.thing_name],
            "repr": [-1] * len(self.thing_kind),
            "place": self.thing_place,
            "parent": self.thing_parent,
            "born": self.thing_born,
        }
        events = {
            "kind": self.kind,
            "time": self.time,
            "thing": self.thing,
            "other": self.other,
            "place": self.place,
            "cause": self.cause,
            "extra": self.extra,
        }
        return {"strings": self.strings, "things": things, "events": events, "kinds": KINDS}
