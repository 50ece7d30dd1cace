"""Pictures of a run, as SVG: ratio bars with their spread, growth curves, what each trick buys.

The same result gives the same file, byte for byte, so that a committed picture changes only when
its figures do: ``python -m benchmarks --from results/FILE.json --plot FILE.svg``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.job import INSTRUCTIONS, LATE
from benchmarks.results import ON, RowResult, Run
from benchmarks.statistics import Figure, geometric_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MissingLibraryError", "Panel", "draw", "panels"]

WIDTH = 9.0  # inches
BAR = 0.13  # inches that one bar is high
GAP = 0.10  # inches between two rows of bars
HEAD = 1.0  # inches for a panel's title, legend and axis
LEGEND_COLUMNS = 6

# A colour for each, told apart by those who see colours differently (Okabe and Ito); the limits are
# grey, since they are no loops.
COLOURS = {
    "miniloop": "#0072B2",
    "uvloop": "#E69F00",
    "rloop": "#009E73",
    "zuvloop": "#CC79A7",
    "winloop": "#56B4E9",
    "asyncio": "#777777",
    "epoll-python": "#BBBBBB",
    "epoll-c": "#DDDDDD",
}
OTHERS = ("#D55E00", "#F0E442", "#882255", "#44AA99")


class MissingLibraryError(Exception):
    """matplotlib, which draws the pictures, is not installed."""


class Panel:
    """One diagram of the picture: how high it is, and what draws it."""

    def __init__(self, title: str, inches: float, paint: Callable[[Axes], None]) -> None:
        self.title = title
        self.inches = inches
        self.paint = paint


def draw(run: Run, path: Path) -> None:
    """Write the picture of a run. Raises `MissingLibraryError` without matplotlib."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Sheet
    except ImportError as error:
        raise MissingLibraryError("--plot needs matplotlib: pip install matplotlib") from error
    todo = panels(run)
    if not todo:
        raise ValueError("there is nothing to plot: no row of this run was finished")
    total = sum(panel.inches for panel in todo)
    # Text stays text, and nothing in the file depends on the time or on chance.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "miniloop", "font.size": 8}):
        sheet = Sheet(figsize=(WIDTH, total + 0.3), layout="constrained", facecolor="white")
        axes = sheet.subplots(
            len(todo), squeeze=False, height_ratios=[panel.inches for panel in todo]
        )
        for panel, row in zip(todo, axes, strict=True):
            panel.paint(row[0])
            legend = row[0].get_legend()
            lines = 1 if legend is None else ceil(len(legend.get_texts()) / LEGEND_COLUMNS)
            row[0].set_title(panel.title, loc="left", fontweight="bold", pad=10 + 12 * lines)
            row[0].spines[["top", "right"]].set_visible(False)
        machine = run.machine
        sheet.supxlabel(
            f"{machine['python']}, {machine['processor']}, {machine['system']}, "
            f"{machine['date'][:10]}; {run.rounds} interleaved rounds, median and 95 % interval",
            fontsize=7,
            color="#555555",
        )
        sheet.savefig(path, format="svg", metadata={"Date": None})


def panels(run: Run) -> list[Panel]:
    """What there is to draw of a run."""
    if run.is_ablation:
        return [_ablation(run.rows)]
    result = []
    for layer in dict.fromkeys(row.layer for row in run.rows):
        rows = [row for row in run.rows if row.layer == layer and row.reference in row.values]
        if layer == "growth":
            result += _growth(rows)
            continue
        single = [row for row in rows if not row.programs]
        if single:
            result.append(_loops(layer, single))
        result += [_programs(row) for row in rows if row.programs]
    return result


def _loops(layer: str, rows: Sequence[RowResult]) -> Panel:
    """A bar for each loop in each row, and their geometric means on top."""
    labels = [
        label
        for label in dict.fromkeys(label for row in rows for label in row.labels)
        if label != rows[0].reference
    ]
    groups: list[tuple[str, dict[str, Figure]]] = []
    means = {}
    for label in labels:
        ratios = [ratio.median for row in rows if (ratio := row.ratio(label)) is not None]
        mean = geometric_mean(ratios)
        # The limits run on some rows only: their mean would be compared with one over all.
        if len(ratios) == len(rows) or not label.startswith("epoll"):
            means[label] = Figure(mean, mean, mean)
    if len(rows) > 1:
        groups.append(("geometric mean", means))
    for row in rows:
        found = {label: ratio for label in labels if (ratio := row.ratio(label)) is not None}
        groups.append((row.name.split("/", 1)[1], found))
    less = {"B": " of memory", LATE: ", half as late being 2"}.get(rows[0].unit, "")
    return _bars(
        f"{layer}: times as good as {rows[0].reference}{less} (more is better)", groups, labels
    )


def _programs(row: RowResult) -> Panel:
    """A bar for each program on each loop."""
    loops = list(dict.fromkeys(label.partition(ON)[2] for label in row.labels))
    groups = []
    for program in row.programs:
        found = {}
        for loop in loops:
            ratio = row.ratio(f"{program}{ON}{loop}")
            if ratio is not None:
                found[loop] = ratio
        groups.append((program, found))
    return _bars(f"{row.name}: times as fast as {row.reference}", groups, loops)


def _ablation(rows: Sequence[RowResult]) -> Panel:
    """A group for each trick: how much longer each row takes without it."""
    tricks = [label for label in rows[0].values if label not in (rows[0].reference,)]
    names = [row.name.split("/", 1)[1] for row in rows]
    groups = []
    for trick in tricks:
        found = {}
        for name, row in zip(names, rows, strict=True):
            longer = row.ratio(row.reference, to=trick)
            # What lies within the spread may be nothing, and is not shown.
            if longer is not None and not longer.holds(1.0):
                found[name] = longer
        groups.append((trick, found))
    shown = [name for name in names if any(name in found for _, found in groups)]
    if rows[0].unit == INSTRUCTIONS:
        return _bars("times as many instructions without the idea", groups, shown)
    return _bars("times as long without the trick (rows beyond their spread)", groups, shown)


def _bars(title: str, groups: list[tuple[str, dict[str, Figure]]], labels: list[str]) -> Panel:
    colours = _colours(labels)
    bars = sum(max(1, len(found)) for _, found in groups)

    def paint(axes: Axes) -> None:
        place = 0.0
        ticks = []
        seen: set[str] = set()
        for _, found in groups:
            top = place
            for label in labels:
                if label not in found:
                    continue
                figure = found[label]
                axes.barh(
                    place,
                    figure.median - 1,
                    left=1,
                    height=0.92,
                    color=colours[label],
                    label=None if label in seen else label,
                    xerr=[[figure.median - figure.low], [figure.high - figure.median]],
                    error_kw={"elinewidth": 0.6, "ecolor": "#333333"},
                )
                seen.add(label)
                place += 1
            place = max(place, top + 1)
            ticks.append((top + place - 1) / 2)
            place += GAP / BAR
        axes.set_yticks(ticks, [name for name, _ in groups])
        axes.set_ylim(place, -1)
        axes.set_xscale("log")
        axes.axvline(1, color="black", linewidth=0.8)
        marks = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100)
        low, high = axes.get_xlim()
        inside = [mark for mark in marks if low <= mark <= high]
        axes.set_xticks(inside, [f"{mark:g}" for mark in inside])
        axes.set_xticks([], minor=True)
        axes.grid(axis="x", linewidth=0.3)
        axes.set_axisbelow(True)
        if seen:  # above the diagram, where no bar is
            axes.legend(
                loc="lower right",
                bbox_to_anchor=(1, 1),
                ncols=LEGEND_COLUMNS,
                fontsize=7,
                frameon=False,
            )

    return Panel(title, HEAD + bars * BAR + len(groups) * GAP, paint)


def _growth(rows: Sequence[RowResult]) -> list[Panel]:
    """A curve for each loop, a diagram for each kind of thing that there are more and more of."""
    result = []
    for family in dict.fromkeys(row.name.split("/")[1] for row in rows):
        members = [row for row in rows if row.name.split("/")[1] == family]

        def paint(axes: Axes, members: Sequence[RowResult] = members) -> None:
            labels = list(dict.fromkeys(label for row in members for label in row.labels))
            colours = _colours(labels)
            for label in labels:
                points = [row for row in members if label in row.values]
                numbers = [row.shape.connections or row.shape.count for row in points]
                costs = [row.cost(label) for row in points]
                axes.errorbar(
                    numbers,
                    [cost.median * 1e6 for cost in costs],
                    yerr=[
                        [(cost.median - cost.low) * 1e6 for cost in costs],
                        [(cost.high - cost.median) * 1e6 for cost in costs],
                    ],
                    color=colours[label],
                    label=label,
                    marker="o",
                    markersize=3,
                    linewidth=1.2,
                    elinewidth=0.6,
                )
            axes.set_xscale("log")
            axes.set_ylim(bottom=0)
            axes.set_ylabel(f"µs per {members[0].counts}")
            axes.grid(linewidth=0.3)
            axes.legend(fontsize=7)

        result.append(Panel(f"cost by number of {family.replace('-', ' ')}", 2.4, paint))
    return result


def _colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label; those that have none of their own take the free ones in turn."""
    free = iter([*OTHERS, *COLOURS.values()] * 4)
    return {label: COLOURS.get(label) or next(free) for label in labels}
