"""The page of results: what the committed runs say, taken together.

``python -m benchmarks.figures`` writes it, to ``results/README.md``. The figures are read from the
runs beside it; the reasons why a row is slower than asyncio's are told here, each for the rows
that its pattern matches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.results import RowResult, Run
from benchmarks.statistics import Figure, geometric_mean
from benchmarks.table import ratio_text, ratios_of

__all__ = ["mean_of", "reason_for", "slower_rows", "write_page"]

OURS = "miniloop"
LIMIT = "epoll-python"

# The parts, in the order of the page.
TITLES = {
    "callbacks": "Callbacks and tasks",
    "sockets": "Sockets and services of the system",
    "http": "HTTP",
    "crawl": "The crawl",
    "growth": "How cost grows",
    "memory": "Memory",
    "lateness": "Lateness and fairness",
    "ablation": "What each trick buys",
    "rewrites": "What each idea of the compiled build is worth",
}

# Since then the loop polls every 50 µs while there is work. It was 250 µs, and more is different in
# what is older.
SINCE = "2026-11-26T10:50"  # UTC

# Those whose rows are of a kind, so that a mean of them says something.
WITH_MEANS = ("callbacks", "sockets")

# Why a row is slower, and what was tried. The first pattern that matches counts.
REASONS = {
    "callbacks/eager-task": """
        An eager task that never waits is one call into C on asyncio: there the task is made, run
        and finished. Here each of these is Python, written out in one function
        (`kernel/eager.py`), which helped. Tried besides: a generator that runs one such
        coroutine after the other by `yield from`, which saves the exception by which a coroutine's
        end is told. It bought little and needed one more way to take a step: not kept.""",
    "callbacks/tree/eager": "The same: all tasks of this tree are eager.",
    "memory/task": """
        A future and a task are smaller than asyncio's (on CPython 3.14 120 and 184 bytes, asyncio's
        168 and 224), and what belongs to them is larger: a future is awaited by a generator of
        Python (208; asyncio's, in C, is 40), `send` of the coroutine is looked up once and kept
        (64), and the loop holds its tasks in a set (52), asyncio in a list that C links. The
        coroutine (216) and the context (72) are the same. Each in its place, with all it
        needs: 934 and 833 bytes (`tracemalloc`).""",
    "memory/timer": """
        A timer is a handle, and a tuple in the heap that compares in C. Handles alone in the heap,
        as asyncio has them, are smaller, and compare by a method: see "timers as tuples" in the
        ablation.""",
    "sockets/tls/100KiB-x10": """
        All loops spend this row in OpenSSL and in the kernel, and the far end has no time left:
        there is nothing to win, and noise decides.""",
    "sockets/*/100KiB-*": """
        Copying in the kernel is most of this row; what the loop adds is below the noise.""",
    "sockets/streams/*-x10": """
        By processor time miniloop is ahead (1.03 and more; 34,640 instructions a message, asyncio's
        43,530). What the clock sees besides is waiting: with ten messages on their way, a loop
        that is done sooner sleeps, and is woken, more often.""",
    "sockets/bulk-*": """
        Copying in the kernel is nearly all of this row; what the loop adds is below the noise.""",
    "sockets/executor": "Two switches between threads are nearly all of this row.",
    "sockets/*-x1": """
        One message at a time: each process waits for the other, and to wake a processor that sleeps
        is most of this row.""",
    "lateness/io/*": """
        While turns are short, the kernel is asked once in 50 µs instead of after each turn: what
        arrives may wait so long, and for the one turn begun within them. That is the price of not
        polling while there is work (`docs/decisions/when-to-enter-the-kernel.md`); without this
        idea these rows are level with asyncio.""",
    "fairness/io-beside-tasks/*": """
        The other side of `fairness/tasks-beside-io`: while tasks are ready, the kernel is asked
        once in 50 µs, and not after each turn.""",
    "http/*": "Most of a request is the program's own work, which is the same on all loops.",
}


def mean_of(run: Run, label: str) -> tuple[float, int] | None:
    """The geometric mean of a contestant's ratios to the reference, and of how many rows."""
    medians = [ratio.median for ratio in ratios_of(run.rows, label)]
    return (geometric_mean(medians), len(medians)) if medians else None


def shared_rows(run: Run, labels: Sequence[str]) -> list[RowResult]:
    """The rows that each of these ran, so that their means are of the same work."""
    return [
        row
        for row in run.rows
        if not row.programs and all(row.ratio(label) is not None for label in labels)
    ]


def slower_rows(run: Run) -> Iterator[tuple[RowResult, Figure]]:
    """The rows on which miniloop's median is behind the reference's."""
    for row in run.rows:
        ratio = None if row.programs or run.is_ablation else row.ratio(OURS)
        if ratio is not None and ratio.median < 1:
            yield row, ratio


def reason_for(name: str) -> str | None:
    """Why a row may be slower, if we know."""
    for pattern, reason in REASONS.items():
        if fnmatch(name, pattern):
            return " ".join(reason.split())
    return None


def write_page(results: Path) -> Path:
    """Write the page for all runs in a folder. Returns where it is."""
    page = results / "README.md"
    page.write_text("\n".join(_lines(results)) + "\n", encoding="utf-8")
    return page


def _lines(results: Path) -> Iterator[str]:
    runs = {path.stem: Run.load(path) for path in sorted(results.glob("*.json"))}
    yield "# Results"
    yield ""
    yield "Measured by `python -m benchmarks.figures` (`make bench`), which also wrote this page."
    yield "A figure is a median over interleaved rounds; a ratio is to stock asyncio in the same"
    yield "round, and more is better. The machine, the versions and the date stand in every file."
    if any(_is_old(run) for run in runs.values()):
        since = SINCE.replace("T", " ")
        yield f"What is older than {since} (UTC) was measured on an earlier kernel, and is marked."
    yield ""
    yield from _means(runs)
    yield ""
    yield from _slower(runs)
    yield from _near_the_limit({stem: run for stem, run in runs.items() if "sockets" in stem})
    for part, title in TITLES.items():
        stems = [stem for stem in runs if stem.startswith(f"{part}-")]
        if not stems:
            continue
        yield ""
        yield f"## {title}"
        for stem in stems:
            yield ""
            files = f"[{stem}.md]({stem}.md), [{stem}.json]({stem}.json)"
            yield f"CPython {_version(stem)}: {files}; {_source(runs[stem])}"
            if (results / f"{stem}.svg").exists():
                yield ""
                yield f"![{title}, CPython {_version(stem)}]({stem}.svg)"


def _version(stem: str) -> str:
    return stem.rpartition("-")[2]


def _is_old(run: Run) -> bool:
    return run.machine["date"] < SINCE


def _source(run: Run) -> str:
    """With what a run was made, and when."""
    day = run.machine["date"].partition("T")[0]
    return f"{run.machine['python']}, {day}{', an earlier kernel' if _is_old(run) else ''}"


def _means(runs: dict[str, Run]) -> Iterator[str]:
    """A line for each run whose rows can be taken together, a column for each loop."""
    chosen = {stem: runs[stem] for part in WITH_MEANS for stem in runs if stem.startswith(part)}
    loops = list(
        dict.fromkeys(
            label
            for run in chosen.values()
            for label in run.loops
            if label != run.reference and not label.startswith("epoll-")
        )
    )
    yield "Geometric means, and of how many rows. Where a loop could not run some, a second line"
    yield "has the means over those that all of them ran."
    yield ""
    yield "| | measured on | " + " | ".join(loops) + " |"
    yield "|---|---|" + "---|" * len(loops)
    for stem, run in chosen.items():
        means = [mean_of(run, loop) for loop in loops]
        title = TITLES[stem.partition("-")[0]].lower()
        yield f"| [{title}]({stem}.md) | {_source(run)} | {_cells(means)} |"
        if len({mean[1] for mean in means if mean is not None}) > 1:
            ran = [loop for loop, mean in zip(loops, means, strict=True) if mean is not None]
            same = replace(run, rows=shared_rows(run, ran))
            yield f"| of the rows of all | | {_cells([mean_of(same, loop) for loop in loops])} |"


def _cells(means: Sequence[tuple[float, int] | None]) -> str:
    return " | ".join("" if mean is None else f"{mean[0]:.2f} ({mean[1]})" for mean in means)


def _slower(runs: dict[str, Run]) -> Iterator[str]:
    yield "## Slower than asyncio"
    yield ""
    yield "Every row on which miniloop's median is below 1. In brackets the 95 % interval: where it"
    yield "holds 1, the row may as well be no slower. An asterisk: of an earlier kernel."
    yield ""
    yield "| row | CPython | times as fast | why, and what was tried |"
    yield "|---|---|---|---|"
    for stem, run in runs.items():
        for row, ratio in slower_rows(run):
            reason = reason_for(row.name) or _what_the_run_says(row, ratio)
            version = _version(stem) + (" *" if _is_old(run) else "")
            yield f"| `{row.name}` | {version} | {ratio_text(ratio)} | {reason} |"


def _near_the_limit(runs: dict[str, Run]) -> Iterator[str]:
    """What is left of the throughput of a server that is nothing but its system calls."""
    found = {
        stem: {row.name: row.ratio(OURS, to=LIMIT) for row in run.rows}
        for stem, run in runs.items()
    }
    names = {name for ratios in found.values() for name, ratio in ratios.items() if ratio}
    if not names:
        return
    yield ""
    yield "## How near to a bare server"
    yield ""
    yield "The throughput of miniloop as a part of that of a bare `select.epoll` server in Python,"
    yield "which has no protocols, transports or error handling (`benchmarks/limits`), in the same"
    yield "round."
    yield ""
    yield "| row | " + " | ".join(f"CPython {_version(stem)}" for stem in found) + " |"
    yield "|---|" + "---|" * len(found)
    for name in dict.fromkeys(name for ratios in found.values() for name in ratios):
        if name in names:
            ratios = [found[stem].get(name) for stem in found]
            cells = ["" if ratio is None else ratio_text(ratio) for ratio in ratios]
            yield f"| `{name}` | " + " | ".join(cells) + " |"
    means = [[r.median for r in ratios.values() if r] for ratios in found.values()]
    cells = [f"{geometric_mean(medians):.2f}" if medians else "" for medians in means]
    yield "| geometric mean | " + " | ".join(cells) + " |"


def _what_the_run_says(row: RowResult, ratio: Figure) -> str:
    """Whether a row that nobody has a reason for may be slower by chance."""
    if ratio.holds(1.0):
        return "Within the noise."
    control = row.ratio(row.control)
    if control is not None and round(control.median, 2) <= round(ratio.median, 2):
        return f"No further than asyncio is from itself in the same run: {control.median:.2f}."
    return "Not explained yet."
