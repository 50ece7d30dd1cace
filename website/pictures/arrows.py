"""Who may import whom: the table of tests/layering.py, as a picture.

A part stands above all that it may import. Of the arrows those are left out that follow from
others: what may import `loop` may import what `loop` may.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from tests.layering import BELOW
from website.pictures.drawing import Drawing, width_of

__all__ = ["draw", "needed", "ranks"]

# Parts that are modules of the package itself, as a reader knows them.
_NAMES = {"__init__": "import miniloop", "__main__": "python -m miniloop"}
_ROW, _BOX, _GAP, _MARGIN = 84, 36, 40, 20


def draw(below: Mapping[str, Set[str]] = BELOW) -> str:
    """Return the picture as SVG."""
    drawing = Drawing()
    rank = ranks(below)
    highest = max(rank.values())
    rows = [[part for part in below if rank[part] == level] for level in range(highest + 1)]
    half = {part: width_of(_NAMES.get(part, part)) / 2 + 14 for part in below}
    widths = [sum(2 * half[p] for p in row) + _GAP * (len(row) - 1) for row in rows]
    width = max([*widths, 420]) + 2 * _MARGIN
    places: dict[str, tuple[float, float]] = {}
    for level, row in enumerate(rows):
        # A single one stands aside, so that an arrow to a lower row passes beside it.
        x = (width - widths[level]) / 2 + (120 if level % 2 else 0) * (len(row) == 1)
        for part in row:
            y = _MARGIN + _BOX / 2 + (highest - level) * _ROW
            places[part] = (round(x + half[part], 1), y)
            x += 2 * half[part] + _GAP
    pairs = needed(below)
    for part, other in pairs:
        (x, y), (to, lower) = places[part], places[other]
        drawing.arrow([(x, y + _BOX / 2), (to, lower - _BOX / 2)])
    for part, (x, y) in places.items():
        drawing.box(x, y, round(2 * half[part], 1), _BOX)
        drawing.text(x, y + 5, _NAMES.get(part, part), "name")
    words = "; ".join(
        f"{_NAMES.get(part, part)} may import "
        + (", ".join(_NAMES.get(p, p) for p in below if p in below[part]) or "nothing of miniloop")
        for part in below
    )
    height = 2 * _MARGIN + _BOX + highest * _ROW
    return drawing.svg(round(width), height, "Who may import whom in miniloop", words + ".")


def ranks(below: Mapping[str, Set[str]]) -> dict[str, int]:
    """How far above the lowest part each part stands: one more than what it may import."""
    found: dict[str, int] = {}

    def rank(part: str) -> int:
        if part not in found:
            found[part] = 1 + max((rank(other) for other in below[part]), default=-1)
        return found[part]

    for part in below:
        rank(part)
    return found


def needed(below: Mapping[str, Set[str]]) -> list[tuple[str, str]]:
    """The arrows that do not follow from others."""
    return [
        (part, other)
        for part in below
        for other in below
        if other in below[part]
        and not any(other in below[between] for between in below[part] - {other})
    ]
