"""A diagram of states and what leads from one to the next.

The states stand in a row. What leads to the next state is an arrow on the row, what leads further
ahead an arc below it, what leads back an arc above it. So the usual way is read along the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from website.pictures.drawing import Drawing, width_of

__all__ = ["Machine", "Way", "draw"]

_BOX = 40  # pixels that a box is high
_STEP = 34  # pixels that an arc is further away for each state that it passes
_MARGIN = 16


@dataclass(frozen=True)
class Way:
    """What leads from a state to another one, or to itself."""

    start: str
    why: str
    end: str


@dataclass(frozen=True)
class Machine:
    """States, in the order of the usual way, what is said below each, and the ways."""

    title: str
    states: Sequence[str]
    ways: Sequence[Way]
    notes: Sequence[str] = ()

    def in_words(self) -> str:
        """All ways, for those who do not see the picture."""
        return "; ".join(
            f"{start} to {end}: {why}" for (start, end), why in self.arrows().items()
        ) + ("." if not self.notes else f". {' '.join(self.notes)}")

    def arrows(self) -> dict[tuple[str, str], str]:
        """One arrow for all ways between two states, and what is written at it."""
        found: dict[tuple[str, str], list[str]] = {}
        for way in self.ways:
            found.setdefault((way.start, way.end), []).append(way.why)
        return {ends: ", ".join(whys) for ends, whys in found.items()}


def draw(machine: Machine) -> str:
    """Return the picture of a machine as SVG."""
    drawing = Drawing()
    arrows = machine.arrows()
    places, width = _places(machine, arrows)
    number = {state: index for index, state in enumerate(machine.states)}
    steps = [number[end] - number[start] for start, end in arrows]
    back = max((_height(step) for step in steps if step <= 0), default=0.0)
    ahead = max((step for step in steps if step > 1), default=0)
    row = _MARGIN + back * _STEP + (20 if back else 0) + _BOX / 2
    for (start, end), why in arrows.items():
        (x, half), (to, other) = places[start], places[end]
        if number[end] == number[start] + 1:
            drawing.arrow([(x + half, row), (to - other, row)])
            drawing.text((x + half + to - other) / 2, row - 8, why, "small")
        elif number[end] > number[start]:
            deep = (number[end] - number[start]) * _STEP
            _arc(drawing, x + half / 3, to - other / 3, row + _BOX / 2, deep, why)
        else:
            high = _height(number[end] - number[start]) * _STEP
            _arc(drawing, x - half / 2, to + half / 2 * (start != end), row - _BOX / 2, -high, why)
    for state, (x, half) in places.items():
        drawing.box(x, row, 2 * half, _BOX)
        drawing.text(x, row + 5, state, "name")
    for index, note in enumerate(machine.notes):
        x, _ = places[machine.states[index]]
        drawing.text(x, row + _BOX / 2 + 18, note, "small")
    height = row + _BOX / 2 + (24 if machine.notes else 0) + ahead * _STEP + _MARGIN
    return drawing.svg(width, round(height), machine.title, machine.in_words())


def _height(step: int) -> float:
    """How high an arc is that leads back so many states, in steps."""
    return 0.6 - 0.5 * step


def _arc(drawing: Drawing, x: float, to: float, y: float, far: float, why: str) -> None:
    if x == to:
        x, to = x - 8, to + 8
    drawing.arrow([(x, y), (x, y + far * 1.05), (to, y + far * 1.05), (to, y)])
    drawing.text((x + to) / 2, y + far * 0.79 + (14 if far > 0 else -5), why, "small")


def _places(
    machine: Machine, arrows: dict[tuple[str, str], str]
) -> tuple[dict[str, tuple[float, float]], float]:
    """The middle of each box and half its width, and the width of all."""
    places: dict[str, tuple[float, float]] = {}
    x = float(_MARGIN)
    before = None
    for index, state in enumerate(machine.states):
        note = machine.notes[index] if machine.notes else ""
        half = max(width_of(state) / 2 + 12, 36.0)
        room = max(half, width_of(note, 12) / 2)
        if before is not None:
            label = arrows.get((before, state), "")
            x += max(width_of(label, 12) + 18, 40.0) - (room - half)
        x += room if before is None else max(room, half)
        places[state] = (round(x, 1), round(half, 1))
        x += room
        before = state
    return places, round(x + _MARGIN)
