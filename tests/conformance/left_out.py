"""The ledger of tests that are not run, or are run and known to fail, and why.

Rules:

1. Every exception is an entry of ``left_out.toml``, with its reason in words; there is no other
   list.
2. ``[[left_out]]`` names tests that are not run. "White-box test of a private class of CPython" is
   a reason; "fails" is not.
3. ``[[expected_failure]]`` names tests that are run and must fail. One that passes fails the run,
   so that the entry is taken out on the day when it is no longer true.
4. An entry that matches no test of this Python fails the run. ``python = ["3.13"]`` confines an
   entry to the versions that have the test; ``"3.12.0-3.12.1"`` is a range, both ends included.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

LEDGER = Path(__file__).with_name("left_out.toml")
LEDGER_VARIABLE = "MINILOOP_LEFT_OUT"
"""Names another ledger in the environment, which workers inherit: for the tests of this harness."""

THIS_PYTHON = "{}.{}.{}".format(*sys.version_info)


@dataclass(frozen=True)
class Entry:
    """One reason, and the tests that it is given for.

    ``tests`` are patterns of the form ``module.Class.test`` with shell wildcards. ``loops`` are
    names of loops (``miniloop``, ``asyncio``, ``uvloop``): empty means every loop.
    """

    reason: str
    tests: tuple[str, ...]
    loops: tuple[str, ...] = ()

    def covers(self, test: str, loop: str) -> bool:
        return (not self.loops or loop in self.loops) and any(
            fnmatchcase(test, pattern) for pattern in self.tests
        )


@dataclass(frozen=True)
class Ledger:
    """All entries that hold for one version of Python."""

    left_out: tuple[Entry, ...]
    expected_failures: tuple[Entry, ...]

    def why_left_out(self, test: str, loop: str) -> str | None:
        """The reason why this test is not run on this loop; ``None`` means that it is run."""
        return _first_reason(self.left_out, test, loop)

    def why_failing(self, test: str, loop: str) -> str | None:
        """The reason why this test must fail on this loop; ``None`` means that it must pass."""
        return _first_reason(self.expected_failures, test, loop)

    def stale(self, tests: Iterable[str], loop: str) -> list[str]:
        """The patterns which match none of ``tests``, though they should hold for this loop."""
        known = list(tests)
        return [
            pattern
            for entry in (*self.left_out, *self.expected_failures)
            if not entry.loops or loop in entry.loops
            for pattern in entry.tests
            if not any(fnmatchcase(test, pattern) for test in known)
        ]


def load(path: Path | None = None, python: str = THIS_PYTHON) -> Ledger:
    """Read the ledger; ``ValueError`` names an entry that lacks something or is misspelt."""
    if path is None:
        path = Path(os.environ.get(LEDGER_VARIABLE, LEDGER))
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown = document.keys() - {"left_out", "expected_failure"}
    if unknown:
        raise ValueError(
            f"{path.name}: unknown table {sorted(unknown)}: see the rules in left_out.py"
        )
    return Ledger(
        left_out=_entries(path, "left_out", document.get("left_out", []), python),
        expected_failures=_entries(
            path, "expected_failure", document.get("expected_failure", []), python
        ),
    )


def _entries(
    path: Path, kind: str, tables: list[dict[str, object]], python: str
) -> tuple[Entry, ...]:
    entries = []
    for number, table in enumerate(tables, start=1):
        where = f"{path.name}: [[{kind}]] number {number}"
        unknown = table.keys() - {"reason", "tests", "loops", "python"}
        if unknown:
            raise ValueError(f"{where}: unknown key {sorted(unknown)}")
        reason = table.get("reason")
        if not isinstance(reason, str) or len(reason.split()) < 3:
            raise ValueError(f"{where}: reason must be a sentence, got {reason!r}")
        tests = _strings(where, "tests", table.get("tests"))
        if not tests:
            raise ValueError(f"{where}: tests is empty")
        versions = _strings(where, "python", table.get("python", []))
        if not versions or any(_holds(version, python) for version in versions):
            loops = _strings(where, "loops", table.get("loops", []))
            entries.append(Entry(" ".join(reason.split()), tests, loops))
    return tuple(entries)


def _strings(where: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where}: {key} must be a list of strings, got {value!r}")
    return tuple(value)


def _holds(versions: str, python: str) -> bool:
    """Whether a version is in a range (``3.12.0-3.12.1``), or of a series (``3.12``)."""
    first, dash, last = versions.partition("-")
    if dash:
        return _numbers(first) <= _numbers(python) <= _numbers(last)
    return _numbers(python)[: len(_numbers(first))] == _numbers(first)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _first_reason(entries: Iterable[Entry], test: str, loop: str) -> str | None:
    return next((entry.reason for entry in entries if entry.covers(test, loop)), None)
