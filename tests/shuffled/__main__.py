"""`python -m tests.shuffled`: CPython's asyncio tests under random legal orders, and the table.

Each test that fails in some order is tried on stock asyncio, in as many random orders. If it fails
there too, or is in `relies_on_fifo.toml`, it relies on FIFO, and not on this loop.

With `--journal FILE` a run that is interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.conformance import runner
from tests.shuffled.journal import Journal
from tests.shuffled.libraries import run_libraries

HUNG = "hung, or ended its process"

LEDGER = Path(__file__).with_name("relies_on_fifo.toml")

# Modules that make no loop, or only mocked ones: an order changes nothing there.
WITHOUT_A_LOOP = {"test_selector_events", "test_proactor_events", "test_windows_events"}


@dataclass(frozen=True)
class Found:
    """A test that fails in some order; `order` is None if it hung or took its process down."""

    test: str
    order: int | None
    error: str


@dataclass
class ModuleResult:
    module: str
    passed: int
    runs: int
    failing_in_fifo: list[str]
    found: list[Found]


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parse(arguments)
    names = [
        name
        for name in runner.modules()
        if name not in WITHOUT_A_LOOP
        and "none" not in chosen.modules
        and (not chosen.modules or name in chosen.modules)
    ]
    journal = Journal(
        chosen.journal, first=chosen.first, orders=chosen.orders, libraries=chosen.libraries
    )
    began = time.monotonic()
    ledger = load_ledger()
    unexplained: list[Found] = []
    pool = ThreadPoolExecutor(chosen.jobs)
    running = [pool.submit(run_module, name, chosen, journal, "miniloop") for name in names]
    pool.shutdown(wait=False)
    results = []
    for done in as_completed(running):
        result = done.result()
        results.append(result)
        unproved = [found for found in result.found if not _is_known(found.test, ledger)]
        if unproved and not chosen.no_control:
            tests = {on_asyncio(found.test) for found in unproved}
            control = run_module(result.module, chosen, journal, "asyncio", tests)
            proved = {found.test for found in control.found}
            for found in list(unproved):
                if on_asyncio(found.test) in proved:
                    print(f"relies on FIFO, as on asyncio: {found.test}: {found.error}")
                    unproved.remove(found)
        unexplained += unproved
        print(
            f"{result.module:24} {result.passed:5} pass under {chosen.orders} orders "
            f"({result.runs} runs), "
            f"{len(result.found):4} do not, {len(unproved):3} unexplained"
            + (f", {len(result.failing_in_fifo)} fail in FIFO" if result.failing_in_fifo else ""),
            flush=True,
        )
    if chosen.libraries:
        unexplained += check_libraries(chosen, ledger, journal)
    for found in unexplained:
        print(f"UNEXPLAINED {found.test} (order {found.order}): {found.error}")
    if chosen.json:
        chosen.json.write_text(
            json.dumps({r.module: [vars(found) for found in r.found] for r in results}, indent=1)
        )
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if unexplained else 0


def on_asyncio(test: str) -> str:
    """The same test on stock asyncio; there are classes that only a loop beside it has."""
    for ours in ("CTask_StockFuture_Tests", "StockTask_CFuture_Tests"):
        test = test.replace(f".{ours}.", ".CTask_CFuture_Tests.")
    return test


def check_libraries(
    chosen: argparse.Namespace, ledger: dict[str, list[str]], journal: Journal
) -> list[Found]:
    """Run the tests of libraries; gives what fails on our loop alone, in whatever order."""
    known = [pattern.rstrip("*") for tests in ledger.values() for pattern in tests]
    known = [pattern for pattern in known if "::" in pattern]  # a prefix is enough
    unexplained = []
    orders = chosen.libraries
    files = run_libraries(orders, chosen.first, chosen.limit, known, chosen.files, journal)
    for part, passed, wrong in files:
        for test, what in sorted(wrong.items()):
            twin = test.replace("miniloop", "asyncio")
            if test == twin:
                continue  # asyncio's own
            if twin in wrong:
                print(f"relies on FIFO, as on asyncio: {test}: {what}")
            else:
                unexplained.append(Found(test, None, what))
        ours = sum("miniloop" in test for test in wrong)
        print(
            f"{part:40} {passed:5} pass under {orders} orders, {ours:4} of ours do not", flush=True
        )
    return unexplained


def run_module(
    module: str,
    chosen: argparse.Namespace,
    journal: Journal,
    loop: str,
    only: set[str] | None = None,
) -> ModuleResult:
    """Run a module on a loop, in as many processes as that takes."""
    result = ModuleResult(module, 0, 0, [], [])
    done: set[str] = set()
    for outcome in journal.about(module, loop):
        _count(outcome, result, done)
    for _ in range(200):
        job = {
            "module": module,
            "factory": f"{loop}:new_event_loop",
            "orders": chosen.orders,
            "first": chosen.first,
            "limit": chosen.limit,
            "seconds": chosen.seconds,
            "only": chosen.only,
            "done": sorted(done),
            "verbose": chosen.verbose,
            "fifo": loop == "miniloop",
        }
        if only is not None and len(only) <= 400:
            remaining = sorted(only - done)
            if not remaining:
                return result
            job["only"] = remaining[0]
        current = _one_process(job, result, done, journal)
        if current is None:
            if only is None:
                return result
            done.add(str(job["only"]))
        else:
            _note(job, result, done, journal, test=current, error=HUNG, order=None)
    return result


def _one_process(
    job: dict[str, object], result: ModuleResult, done: set[str], journal: Journal
) -> str | None:
    """Run a worker; gives the test in which it ended before its time, or None."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.shuffled.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if job["verbose"] else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    threading.Thread(target=_end_its_children, args=(process,)).start()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    current: str | None = None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "start":
            current = event["test"]
            continue
        current = None
        _note(job, result, done, journal, **event)
    process.wait()
    process.stdout.close()
    return current


def _end_its_children(worker: subprocess.Popen[str]) -> None:
    """When a worker has ended, end what its tests left: children that still hold its output."""
    worker.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)


def _note(
    job: dict[str, object], result: ModuleResult, done: set[str], journal: Journal, **outcome: Any
) -> None:
    journal.add(part=result.module, loop=str(job["factory"]).partition(":")[0], **outcome)
    _count(outcome, result, done)


def _count(outcome: dict[str, Any], result: ModuleResult, done: set[str]) -> None:
    done.add(outcome["test"])
    if outcome["error"] is None:
        result.passed += 1
        result.runs += outcome["ran"]
    elif outcome["order"] is None and outcome["error"] != HUNG:
        result.failing_in_fifo.append(outcome["test"])
    else:
        result.found.append(Found(outcome["test"], outcome["order"], outcome["error"]))


def load_ledger() -> dict[str, list[str]]:
    """Reasons, and the patterns of the tests that rely on FIFO for that reason."""
    if not LEDGER.exists():
        return {}
    entries = tomllib.loads(LEDGER.read_text(encoding="utf-8")).get("relies_on_fifo", [])
    return {entry["reason"]: list(entry["tests"]) for entry in entries}


def _is_known(test: str, ledger: dict[str, list[str]]) -> bool:
    patterns: Iterable[str] = (pattern for tests in ledger.values() for pattern in tests)
    return any(fnmatchcase(test, pattern) for pattern in patterns)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.shuffled", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as test_locks; none (all)")
    parser.add_argument("--orders", type=int, default=100, help="how many for each test (100)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one (0)")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one run (20)")
    parser.add_argument("--libraries", type=int, default=0, help="orders for tests/ecosystem (0)")
    parser.add_argument("--files", nargs="*", help="such as test_redis, of tests/ecosystem (all)")
    parser.add_argument("--journal", type=Path, help="keep what is done there, and go on from it")
    parser.add_argument("--seconds", type=float, help="for all orders of one test (no limit)")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes at once (2)")
    parser.add_argument("--only", help="only the tests that match this pattern")
    parser.add_argument("--no-control", action="store_true", help="do not try on stock asyncio")
    parser.add_argument("--verbose", action="store_true", help="show what the tests write")
    parser.add_argument("--json", type=Path, help="write what fails in some order into this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
