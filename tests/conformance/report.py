"""The table: a line per module, and below it whatever did not go as it should."""

from __future__ import annotations

from collections.abc import Iterable

from tests.conformance.runner import ModuleRun

HEADINGS = ("module", "passed", "failed", "left out", "skipped", "idle", "seconds")


def table(runs: Iterable[ModuleRun]) -> str:
    """One line per module and a line of sums; a test known to fail counts as left out."""
    rows: list[tuple[str, int, int, int, int, int, float]] = [
        (
            run.module,
            len(run.with_verdict("passed")),
            len(run.with_verdict("failed")) + bool(run.broken),
            len(run.with_verdict("left out")) + len(run.with_verdict("known")),
            len(run.with_verdict("skipped")),
            len(run.with_verdict("idle")),
            run.seconds,
        )
        for run in sorted(runs, key=lambda run: run.module)
    ]
    columns = list(zip(*rows, strict=True))[1:]
    sums = ("total", *(sum(column) for column in columns))
    lines = [_line(HEADINGS), *(_line(row) for row in rows), _line(sums)]
    return "\n".join(lines)


def failures(runs: Iterable[ModuleRun], *, full: bool = True) -> str:
    """Every failure with its traceback, or with its last line only."""
    parts = []
    for run in runs:
        if run.broken:
            parts.append(f"BROKEN  {run.broken}")
        for outcome in run.with_verdict("failed"):
            detail = outcome.detail if full else outcome.detail.strip().rpartition("\n")[2]
            parts.append(f"FAILED  {outcome.test}\n{detail}")
    return "\n\n".join(parts)


def _line(cells: Iterable[object]) -> str:
    first, *others = (f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells)
    return f"{first:<28}" + "".join(f"{cell:>10}" for cell in others)
