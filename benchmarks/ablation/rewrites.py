"""The second half of the ablation: what each idea of the compiled build is worth.

    python -m benchmarks.ablation.rewrites [--only GLOB] [--rounds N] [--cpu] [--json FILE]
    python -m benchmarks.ablation.rewrites --instructions [--only GLOB] [--json FILE]

builds miniloop once whole, and once without each idea of `miniloop.compiled.rewrites`, each in a
copy of the package, and runs the same rows on all of them. Needs Cython and a C compiler; a build
takes up to a minute, and is used again while the sources have not changed.

Most ideas are worth a few per cent, which is what clocks of a machine differ by. With
`--instructions` valgrind counts, and two counts of one loop differ by a few thousandths; over
sockets by some per cent, as it depends on what arrives together.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import miniloop
from benchmarks import catalogue, loops, machine, plot, runner, table
from benchmarks.ablation import instructions
from benchmarks.job import INSTRUCTIONS, Sample
from benchmarks.peers import control
from benchmarks.results import RowResult, Run
from miniloop.compiled.rewrites import IDEAS

__all__ = ["ROWS", "main"]

PACKAGE = Path(miniloop.__file__).parent
CHECKOUT = PACKAGE.parent
REFERENCE = "miniloop-compiled"
CONTROL = "the whole again (control)"

ROWS = (
    "callbacks/call-soon-chain",
    "callbacks/timer-fired",
    "callbacks/sleep-0/1",
    "callbacks/sleep-0/100",
    "callbacks/spawn-and-await",
    "callbacks/gather",
    "callbacks/future-ping-pong",
    *(["callbacks/eager-task"] if sys.version_info >= (3, 12) else []),  # as its row
    "sockets/protocol/1KiB-x10",
    "sockets/connect",
)


def build(without: str, into: Path) -> Path:
    """A folder with a miniloop that was compiled without that idea ("" for the whole of it).

    Raises SystemExit, with what the build has said, where it fails.
    """
    folder = into / (without.replace(" ", "-") or "whole")
    if (folder / ".done").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        PACKAGE, folder / "miniloop", ignore=shutil.ignore_patterns("built", "__pycache__")
    )
    made = subprocess.run(
        [
            *(sys.executable, "-m", "miniloop.compiled.build"),
            *("--objects", str(into.parent / "objects")),  # most modules know nothing of an idea
            *(("--without", without) if without else ()),
        ],
        cwd=folder,
        env={**os.environ, "MINILOOP_PURE": "1", "PYTHONPATH": str(folder)},
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise SystemExit(made.stdout + made.stderr)
    (folder / ".done").touch()
    return folder


def loop_in(folder: Path) -> loops.Loop:
    """The compiled loop whose package lies in that folder; the benchmarks stay this checkout's."""
    return loops.Loop(
        REFERENCE,
        "miniloop",
        "new_event_loop",
        environment=(
            ("PYTHONSAFEPATH", "1"),
            ("PYTHONPATH", os.pathsep.join([str(folder), str(CHECKOUT)])),
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Build all of them, run the rows, and print the table."""
    options = _parser().parse_args(arguments)
    run = Run.load(options.source) if options.source else _measure(options)
    if options.cpu:
        run = replace(run, rows=[row.by_processor() for row in run.rows])
    print(table.render(run), end="")
    if options.plot:
        plot.draw(run, options.plot)
    return 1 if any(row.errors for row in run.rows) else 0


def _measure(options: argparse.Namespace) -> Run:
    rows = catalogue.select(options.only or ROWS)
    into = CHECKOUT / "build" / "ablation" / str(sys.implementation.cache_tag) / _digest()
    whole = loop_in(_built("", into))
    entrants = [
        (REFERENCE, whole),
        *((f"without: {idea}", loop_in(_built(idea, into))) for idea in options.idea or IDEAS),
        (CONTROL, whole),
    ]
    plan = runner.Plan(rounds=1 if options.instructions else options.rounds)
    run = Run(
        machine={**machine.describe(), **machine.versions(())},
        loops={REFERENCE: miniloop.__version__},
        reference=REFERENCE,
        rounds=plan.rounds,
    )
    with ExitStack() as stack:
        far_end = None
        if any(row.far_end for row in rows):
            far_end = stack.enter_context(control.started())
        if options.instructions:
            run.rows += _counted(rows, entrants, far_end)
            if options.json:
                run.dump(options.json)
            return run
        for row in rows:
            _say(row.name)
            program = row.program(row.reference)
            entered = [runner.Contestant(label, program, loop) for label, loop in entrants]
            run.rows.append(runner.run_row(row, entered, plan, far_end, say=_say))
            if options.json:
                run.dump(options.json)
    return run


def _counted(
    rows: Sequence[catalogue.Row],
    entrants: Sequence[tuple[str, loops.Loop]],
    far_end: tuple[str, int] | None,
) -> list[RowResult]:
    """The instructions of each, two loops at a time."""
    results = [
        replace(RowResult.empty(row, reference=REFERENCE, control=CONTROL), unit=INSTRUCTIONS)
        for row in rows
    ]

    def count(entrant: tuple[str, loops.Loop]) -> list[int] | instructions.InstructionsError:
        _say(f"counting {entrant[0]}")
        try:
            return instructions.count(entrant[1], rows, far_end)
        except instructions.InstructionsError as error:
            _say(str(error))
            return error

    with ThreadPoolExecutor(2) as threads:
        for (label, _), counted in zip(entrants, threads.map(count, entrants), strict=True):
            for place, result in enumerate(results):
                if isinstance(counted, instructions.InstructionsError):
                    result.fail(label, str(counted).partition("\n")[0])
                else:
                    result.add(label, Sample(1, counted[place], cpu=0.0))
    return results


def _digest() -> str:
    """What tells one state of the sources from another."""
    sources = [*PACKAGE.rglob("*.py"), *PACKAGE.glob("compiled/*.[ph]*")]
    seen = hashlib.sha256()
    for source in sorted(set(sources)):
        seen.update(source.read_bytes())
    return seen.hexdigest()[:12]


def _built(idea: str, into: Path) -> Path:
    _say(f"building {'without: ' + idea if idea else 'the whole'}")
    return build(idea, into)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation.rewrites",
        description="What each idea of the compiled build is worth, by builds without it.",
    )
    parser.add_argument("--only", action="append", metavar="GLOB", help="rows (default: some)")
    parser.add_argument(
        "--idea", action="append", choices=IDEAS, help="only this one (default: all of them)"
    )
    parser.add_argument("--rounds", type=int, default=runner.Plan.rounds)
    parser.add_argument("--cpu", action="store_true", help="processor time instead of elapsed time")
    parser.add_argument(
        "--instructions", action="store_true", help="count instructions instead; needs valgrind"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the result")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="show a result of --json"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
