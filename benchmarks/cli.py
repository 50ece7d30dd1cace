"""The command: which rows, on which loops, and where the result goes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import (
    ablation,
    catalogue,
    loops,
    machine,
    plot,
    pyperf_files,
    report,
    runner,
    table,
)
from benchmarks.peers import control
from benchmarks.results import BadResultsError, Run

__all__ = ["main"]

DISTRIBUTIONS = ("aiohttp", "aiofiles", "httpx", "uvicorn", "h11", "scrapy", "pyperf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 where a benchmark failed, 2 for bad usage."""
    options = _parser().parse_args(arguments)
    try:
        if options.list:
            _list(options.only)
            return 0
        _check_outputs(options)
        run = Run.load(options.source) if options.source else _measure(options)
        if options.json:
            run.dump(options.json)
        shown = replace(run, rows=[row.by_processor() for row in run.rows]) if options.cpu else run
        print(table.render(shown), end="")
        if options.plot:
            plot.draw(shown, options.plot)
        if options.report:
            report.write(shown, options.report)
        if options.pyperf:
            pyperf_files.write(shown, options.pyperf)
    except (
        catalogue.UnknownRowError,
        loops.UnknownLoopError,
        plot.MissingLibraryError,
        BadResultsError,
        OSError,
    ) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 1 if any(row.errors for row in run.rows) else 0


def _measure(options: argparse.Namespace) -> Run:
    rows = catalogue.select(options.only or (ablation.ROWS if options.ablation else ()))
    if options.ablation:
        reference = loops.find("miniloop")
        chosen = [reference, *(loops.without(trick) for trick in ablation.TRICKS)]
    else:
        reference = loops.find(loops.REFERENCE)
        names = options.loops or [loop.name for loop in loops.installed()]
        chosen = [loops.find(name) for name in names]
    if reference not in chosen:
        chosen.insert(0, reference)
    for loop in chosen:
        loop.load()  # so that a wrong name is told now, and not in the middle of the run
    plan = runner.Plan(rounds=options.rounds)
    if options.quick:
        plan = runner.Plan(rounds=min(3, options.rounds), generations=1, seconds=0.02)
    run = Run(
        machine={**machine.describe(), **machine.versions(DISTRIBUTIONS)},
        loops={loop.name: loop.version for loop in chosen},
        reference=reference.name,
        rounds=plan.rounds,
    )
    with ExitStack() as stack:
        far_end = None
        if any(row.far_end for row in rows):
            far_end = stack.enter_context(control.started())
        for place, row in enumerate(rows, 1):
            _say(f"[{place}/{len(rows)}] {row.name}")
            entered = runner.contestants(row, chosen, reference)
            try:
                run.rows.append(runner.run_row(row, entered, plan, far_end, say=_say))
                if options.json:
                    run.dump(options.json)  # a run takes long, and may be ended from outside
            except KeyboardInterrupt:
                _say(f"interrupted in {row.name}: the rows before it are reported")
                break
    return run


def _check_outputs(options: argparse.Namespace) -> None:
    """Raise OSError now for a file that could not be written after an hour of measuring."""
    for path in (options.json, options.plot, options.report):
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"cannot write {path}: there is no directory {path.parent}")


def _list(globs: Sequence[str]) -> None:
    """Print the loops, and the rows with what each measures."""
    print("loops: " + ", ".join(loop.name for loop in loops.installed()) + ", or module:factory")
    for row in catalogue.select(globs or ["*"]):
        programs = [program.name for program in row.programs if program.name]
        print(f"{row.name:<40} {row.about}" + (f" [{', '.join(programs)}]" if programs else ""))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < 1:
        raise argparse.ArgumentTypeError(f"there must be at least one round, got {rounds}")
    return rounds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="The same work on every event loop, interleaved round by round.",
        epilog="python -m benchmarks program script.py: a program of your own, on every loop. "
        "python -m benchmarks compare old.json new.json: what has changed between two results. "
        "Both have a --help of their own.",
    )
    parser.add_argument("--list", action="store_true", help="print loops and benchmarks, and end")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="run the rows that match, e.g. 'sockets/*'; may be given several times",
    )
    parser.add_argument(
        "--loops",
        type=lambda text: [name.strip() for name in text.split(",")],
        metavar="A,B",
        help="names or module:factory (default: all that are installed; asyncio always runs)",
    )
    parser.add_argument(
        "--ablation",
        action="store_true",
        help="take miniloop's tricks out, one at a time, and show what each is worth",
    )
    parser.add_argument(
        "--rounds", type=_rounds, default=runner.Plan.rounds, help="default: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="three short rounds: a try, no figure")
    parser.add_argument(
        "--cpu",
        action="store_true",
        help="show processor time of the loop's process instead of elapsed time",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the result")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write tables and pictures as one page"
    )
    parser.add_argument(
        "--pyperf", type=Path, metavar="DIR", help="write a file in pyperf's format for each loop"
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="show a result that --json wrote, instead of measuring",
    )
    return parser
