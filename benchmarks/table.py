"""The result as text: a table for each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.catalogue import APART
from benchmarks.job import INSTRUCTIONS, LATE
from benchmarks.results import ON, RowResult, Run
from benchmarks.statistics import Figure, geometric_mean

__all__ = ["amount", "ratio_text", "ratios_of", "render", "summary"]

# From here on the far end was so busy that it, not the loop, may have set the pace.
BUSY = 0.9

# What stands above the table of an ablation.
CLOCKED = (
    "How much longer the work takes without each trick. In brackets: within the spread, so it",
    "may be nothing. The control is the whole loop once more.",
)
COUNTED = (
    "How many more instructions the work takes without each idea, in the process with the loop.",
    "The first line: how many one operation takes with all of them. The control is the whole loop",
    "once more.",
)


def render(run: Run) -> str:
    """The whole run as plain text (and Markdown: the tables are Markdown's)."""
    return "\n".join(_lines(run)) + "\n"


def _lines(run: Run) -> Iterator[str]:
    machine = run.machine
    yield f"{machine['python']} ({machine['compiler']}) on"
    yield f"{machine['system']} {machine['architecture']}, "
    yield f"{machine['processors']} x {machine['processor']}, {machine['date']}"
    yield "loops: " + ", ".join(f"{name} {version}".strip() for name, version in run.loops.items())
    if run.rows and run.rows[0].unit == INSTRUCTIONS:
        yield ""
        yield from _ablation(run.rows)
        return
    yield f"{run.rounds} interleaved rounds; each figure is their median (and its 95 % interval);"
    if not run.is_ablation:
        yield f"ratios are to {run.reference} in the same round, and more is better."
    if run.is_ablation:
        yield ""
        yield from _ablation(run.rows)
        return
    for layer in dict.fromkeys(row.layer for row in run.rows):
        rows = [row for row in run.rows if row.layer == layer]
        yield ""
        yield f"## {layer}"
        yield ""
        yield from _table(rows)
        yield ""
        if rows[0].unit == LATE:
            yield "- a ratio of 2: half as late. What strikes early counts as on time."
        if layer in APART and "places" in machine:
            yield f"- {machine['places']}"
        if layer == "program":  # no mean of such different things
            yield from _failures(rows)
        else:
            yield from summary(rows)


def _table(rows: Sequence[RowResult]) -> Iterator[str]:
    """One table for all rows with one program, then one for each row with several."""
    single = [row for row in rows if not row.programs]
    if single:
        reference, control = single[0].reference, single[0].control
        finished = (label for row in single for label in (*row.labels, *row.errors))
        labels = [name for name in dict.fromkeys(finished) if name not in (reference, control)]
        lines = [["benchmark", reference, *labels, control]]
        for row in single:
            lines.append(
                [
                    row.name.split("/", 1)[1],
                    _cost(row),
                    *(_cell(row, label) for label in labels),
                    _cell(row, control) + (" strayed" if row.strayed else ""),
                ]
            )
        yield from _markdown(lines)
    for place, row in enumerate(row for row in rows if row.programs):
        if single or place:
            yield ""
        yield from _by_program(row)


def _by_program(row: RowResult) -> Iterator[str]:
    """A line for each program, a column for each loop."""
    labels = [*row.values, *row.errors]
    loops = list(dict.fromkeys(label.partition(ON)[2] for label in labels))
    yield f"{row.name}: {_cost(row)} is 1.00 ({row.reference})"
    yield ""
    lines = [["program", *loops]]
    for program in dict.fromkeys(label.partition(ON)[0] for label in labels):
        lines.append([program, *(_cell(row, f"{program}{ON}{loop}") for loop in loops)])
    yield from _markdown(lines)


def _markdown(lines: list[list[str]]) -> Iterator[str]:
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for place, line in enumerate(lines):
        cells = [line[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)
        ]
        yield "| " + " | ".join(cells) + " |"
        if place == 0:
            rule = [":" + "-" * (widths[0] - 1)] + ["-" * (width - 1) + ":" for width in widths[1:]]
            yield "| " + " | ".join(rule) + " |"


def _cost(row: RowResult) -> str:
    if row.reference not in row.values:
        return "failed"
    cost = amount(row.cost(row.reference).median, row.unit)
    return f"{cost} late" if row.unit == LATE else f"{cost}/{row.counts}"


def _ablation(rows: Sequence[RowResult]) -> Iterator[str]:
    """A line for each trick, a column for each row: how much longer it takes without the trick."""
    yield from COUNTED if rows[0].unit == INSTRUCTIONS else CLOCKED
    yield ""
    labels = list(dict.fromkeys(label for row in rows for label in (*row.labels, row.control)))
    lines = [["", *(row.name.split("/", 1)[1] for row in rows)]]
    if rows[0].unit == INSTRUCTIONS:
        whole = (f"{row.cost(row.reference).median:,.0f}" for row in rows)
        lines.append([rows[0].reference, *whole])
    for label in labels:
        if label != rows[0].reference:
            lines.append([label, *(_longer(row, label) for row in rows)])
    yield from _markdown(lines)
    yield from _failures(rows)


def _longer(row: RowResult, label: str) -> str:
    # Turned round: the time of the loop that lacks something over that of the whole one.
    longer = row.ratio(row.reference, to=label)
    if longer is None:
        return "failed" if label in row.errors else ""
    if row.unit == INSTRUCTIONS:
        return f"{longer.median - 1:+.1%}"
    text = f"{longer.median - 1:+.0%}"
    return f"({text})" if longer.holds(1.0) else text


def _cell(row: RowResult, label: str) -> str:
    if label in row.errors:
        return "failed"
    ratio = row.ratio(label)
    if ratio is None:
        return ""
    busy = "*" if row.far_end_busy(label) > BUSY else ""
    # A delay is felt as such, so it stands beside its ratio.
    late = f"{amount(row.cost(label).median, row.unit)}, " if row.unit == LATE else ""
    return late + ratio_text(ratio) + busy


def ratio_text(ratio: Figure) -> str:
    """A ratio and its interval: ``1.53 (1.48-1.57)``."""
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def ratios_of(rows: Sequence[RowResult], label: str) -> list[Figure]:
    """A contestant's ratios to the reference, on the rows that can be taken together.

    Rows that compare programs have no part in that: they stand for themselves.
    """
    found = (row.ratio(label) for row in rows if not row.programs)
    return [ratio for ratio in found if ratio is not None]


def summary(rows: Sequence[RowResult]) -> Iterator[str]:
    """The layer in a few lines: geometric means, who is behind whom, what strayed, what failed."""
    single = [row for row in rows if not row.programs]
    labels = list(dict.fromkeys(label for row in single for label in (*row.labels, row.control)))
    worse = "later" if rows[0].unit == LATE else "slower"
    for label in labels:
        ratios = ratios_of(rows, label)
        if not ratios or label == single[0].reference:
            continue
        mean = geometric_mean(ratio.median for ratio in ratios)
        behind = sum(ratio.high < 1 for ratio in ratios)
        yield (
            f"- {label}: geometric mean {mean:.2f} over {len(ratios)} "
            f"row{'' if len(ratios) == 1 else 's'}, "
            f"{worse} than {single[0].reference} beyond the spread on {behind}"
        )
    strayed = [row.name for row in rows if row.strayed]
    if strayed:
        yield (
            f"- the control strayed from 1 by more than its spread on {len(strayed)} of "
            f"{len(rows)} rows (one in twenty is chance): {', '.join(strayed)}"
        )
    if any(row.far_end_busy(label) > BUSY for row in rows for label in row.labels):
        yield f"- *: the far end was computing for more than {BUSY:.0%} of the time"
    yield from _failures(rows)


def _failures(rows: Sequence[RowResult]) -> Iterator[str]:
    failed: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for label, reason in row.errors.items():
            failed.setdefault((label, reason), []).append(row.name)
    for (label, reason), names in failed.items():
        where = "all rows" if 1 < len(names) == len(rows) else ", ".join(names)
        yield f"- failed: {where} on {label}: {reason}"


def amount(value: float, unit: str) -> str:
    """A cost with a unit that suits its size: ``1.53 µs``, ``2.4 KiB``."""
    if unit == "B":
        return f"{value / 1024:.3g} KiB" if value >= 1024 else f"{value:.0f} B"
    if not unit:
        return f"{value:.4g}"
    for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value / 1e-9:.3g} ns"
