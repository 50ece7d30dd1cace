"""The committed results as tables for a page: figures with bars and their spread, to be sorted.

They are read from the files that `python -m benchmarks.figures` wrote. Each column has a button in
its head that sorts by it (docs/style/sorting.js); without JavaScript the table is there as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from math import log

from benchmarks.job import INSTRUCTIONS
from benchmarks.page import TITLES
from benchmarks.results import RowResult, Run
from benchmarks.statistics import Figure
from website.pages import ROOT

__all__ = ["RESULTS", "table", "title"]

RESULTS = ROOT / "benchmarks" / "results"

LONGEST_BAR = log(4)
# Of the picture in a cell, in pixels.
_WIDTH, _HEIGHT = 96, 14


@dataclass(frozen=True)
class _Cell:
    """One figure, how it is written, and whether it says anything."""

    figure: Figure
    text: str
    within_spread: bool = False


def title(stem: str) -> str:
    """What a result is about: `callbacks-3.13` is "Callbacks and tasks, CPython 3.13"."""
    part, _, python = stem.rpartition("-")
    return f"{TITLES[part]}, CPython {python}"


def table(stem: str) -> str:
    """Return a committed result as HTML. Raises FileNotFoundError if there is none of that name."""
    run = Run.load(RESULTS / f"{stem}.json")
    counted = run.rows[0].unit == INSTRUCTIONS
    if run.is_ablation:
        columns, rows = _ablation(run)
        corner = "without the idea"
        if counted:
            what = "how many more instructions each work takes without an idea"
            note = "A bar to the right: the work takes more without the idea, so the idea pays."
        else:
            what = "how much longer each work takes without an idea"
            note = (
                "A bar to the right: the work takes longer without the idea, so the idea pays. "
                "Grey: within the spread, so it may be nothing."
            )
    else:
        columns, rows = _ratios(run)
        good = "less memory" if run.rows[0].unit == "B" else "faster"
        what = f"times as good as {run.rows[0].reference}"
        corner = "row"
        note = f"A bar to the right: {good} than {run.rows[0].reference}. Grey: within the spread."
    machine = run.machine
    note += (
        f"{'' if counted else ' The line is the 95 % interval.'}"
        " The scale is logarithmic, and bars end at four times. "
        f"{'Counted once' if counted else f'Medians of {run.rounds} interleaved rounds'}, "
        f"{machine['python']}, "
        f"{machine['processor']}, {machine['system']}, {machine['date'][:10]}."
    )
    heads = "".join(_head(column) for column in [corner, *columns])
    widest = _widest(cell for _, cells in rows for cell in cells if cell is not None)
    body = "\n".join(
        f'<tr><th scope="row" data-value="{escape(name)}">{escape(name)}</th>'
        + "".join(_drawn(cell, widest) for cell in cells)
        + "</tr>"
        for name, cells in rows
    )
    return (
        f"<p>{escape(note)}</p>\n"
        f'<div class="results" tabindex="0" role="region" aria-label="{escape(title(stem))}">\n'
        f'<table class="figures">\n<caption>{escape(title(stem))}: {escape(what)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _ratios(run: Run) -> tuple[list[str], list[tuple[str, list[_Cell | None]]]]:
    labels = list(dict.fromkeys(label for row in run.rows for label in row.labels))
    columns = [label for label in labels if any(label != row.reference for row in run.rows)]
    return columns, [(row.name, [_ratio(row, label) for label in columns]) for row in run.rows]


def _ratio(row: RowResult, label: str) -> _Cell | None:
    found = row.ratio(label)
    if found is None or label == row.reference:
        return None
    text = f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"
    return _Cell(found, text, found.holds(1.0))


def _ablation(run: Run) -> tuple[list[str], list[tuple[str, list[_Cell | None]]]]:
    ideas = [label for label in run.rows[0].labels if label != run.reference]
    columns = [row.name.split("/", 1)[1] for row in run.rows]
    rows: list[tuple[str, list[_Cell | None]]] = []
    for idea in ideas:
        cells: list[_Cell | None] = []
        for row in run.rows:
            longer = row.ratio(row.reference, to=idea)
            digits = 1 if row.unit == INSTRUCTIONS else 0
            if longer is None:
                cells.append(None)
                continue
            more = round(100 * (longer.median - 1), digits) or 0.0  # not -0.0
            cells.append(_Cell(longer, f"{more:+.{digits}f} %", longer.holds(1.0)))
        rows.append((idea.removeprefix("without").lstrip(": "), cells))
    return columns, rows


def _widest(cells: Iterable[_Cell]) -> float:
    """The logarithm that the longest bar shows: some bars are cut, so that others can be seen."""
    return min(LONGEST_BAR, max(abs(log(cell.figure.median)) for cell in cells)) or 1.0


def _head(column: str) -> str:
    return f'<th scope="col"><button type="button">{escape(column)}</button></th>'


def _drawn(cell: _Cell | None, widest: float) -> str:
    if cell is None:
        return '<td class="none">none</td>'
    figure = cell.figure

    def place(value: float) -> float:
        share = log(value) / widest if value > 0 else -1.0
        return round(_WIDTH / 2 * (1 + max(-1.0, min(1.0, share))), 1)

    middle, end = _WIDTH / 2, place(figure.median)
    left, width = min(middle, end), round(abs(end - middle), 1)
    kind = "within" if cell.within_spread else "better" if figure.median > 1 else "worse"
    return (
        f'<td data-value="{figure.median:.5g}" class="{kind}">{escape(cell.text)}'
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" aria-hidden="true">'
        f'<rect x="{left}" y="3" width="{width}" height="{_HEIGHT - 6}"/>'
        f'<path d="M{place(figure.low)} {_HEIGHT / 2}H{place(figure.high)}"/>'
        f'<path class="one" d="M{middle} 0V{_HEIGHT}"/></svg></td>'
    )
