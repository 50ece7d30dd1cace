"""``python -m tests.conformance``: run CPython's asyncio tests on a loop and print the table."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path

from tests.conformance import left_out, report, runner
from tests.conformance.subject import DEFAULT_FACTORY


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parse(arguments)
    try:
        names = [name for name in runner.modules() if not chosen.modules or name in chosen.modules]
    except runner.Unavailable as reason:
        print(f"conformance: skipped: {reason}", file=sys.stderr)
        return 0
    unknown = set(chosen.modules) - set(names)
    if unknown:
        print(f"conformance: no such test module: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    options = runner.Options(
        factory=chosen.factory,
        limit=chosen.limit,
        jobs=chosen.jobs,
        only=chosen.only,
        include_left_out=chosen.include_left_out,
        debug=chosen.debug,
        record=chosen.record,
    )
    bad = 0
    outcomes: list[dict[str, object]] = []
    for round_number in range(1, chosen.repeat + 1):
        if chosen.repeat > 1:
            print(f"round {round_number} of {chosen.repeat}")
        ok, runs = run_once(options, names, brief=chosen.brief)
        bad += not ok
        outcomes += [asdict(outcome) for run in runs for outcome in run.outcomes.values()]
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(outcomes, indent=1), encoding="utf-8")
    return 1 if bad else 0


def run_once(
    options: runner.Options, names: list[str], *, brief: bool
) -> tuple[bool, list[runner.ModuleRun]]:
    """Run the modules, print what comes of it, and say whether all is well."""
    started = time.monotonic()
    running = runner.start(options, names)
    runs = []
    for done in as_completed(running.values()):
        runs.append(done.result())
        if sys.stderr.isatty():
            print(f"\r{len(runs)} of {len(names)} modules", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    failed = report.failures(runs, full=not brief)
    if failed:
        print(failed, end="\n\n")
    print(f"{options.factory} on CPython {platform.python_version()}")
    print(report.table(runs))
    print(f"{time.monotonic() - started:.0f} s with {options.jobs} jobs")
    stale = stale_entries(options, runs)
    for pattern in stale:
        print(f"left_out.toml: no test of this Python matches {pattern!r}")
    return not failed and not stale, runs


def stale_entries(options: runner.Options, runs: list[runner.ModuleRun]) -> list[str]:
    """Entries of the ledger, about the modules that were run, which match no test."""
    loop = options.factory.partition(":")[0].partition(".")[0]
    tests = [test for run in runs for test in run.tests]
    ran = {run.module for run in runs if run.tests}
    return [
        pattern
        for pattern in left_out.load().stale(tests, loop)
        if pattern.partition(".")[0] in ran
    ]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as test_tasks; all")
    parser.add_argument(
        "--factory",
        default=DEFAULT_FACTORY,
        metavar="MODULE:CALLABLE",
        help="makes the loop to be tested (%(default)s)",
    )
    parser.add_argument("--only", metavar="PATTERN", help="tests named module.Class.test like this")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds per test (%(default)g)")
    parser.add_argument("--jobs", type=int, default=runner.Options.jobs, help="(%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run it all N times")
    parser.add_argument("--brief", action="store_true", help="the last line of each failure only")
    parser.add_argument(
        "--include-left-out", action="store_true", help="run them, too, to see how they go"
    )
    parser.add_argument("--debug", action="store_true", help="with PYTHONASYNCIODEBUG=1")
    parser.add_argument("--record", action="store_true", help="with a recorder on every loop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every outcome there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
