"""`python -m miniloop.study check N`: its arguments, and the process in which the trial is held."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["add_command"]

# Seconds. The longest of the checks waits for two, on purpose.
PATIENCE = 60.0

STEPS = 10  # of the tour


def add_command(commands: Any) -> None:
    """Add it to those of `python -m miniloop.study` (what `add_subparsers` returns)."""
    text = "check your solution of an exercise of the tour"
    added = commands.add_parser("check", help=text, description=text)
    added.add_argument(
        "number", type=int, choices=range(1, STEPS + 1), metavar="N", help="which one"
    )
    added.add_argument("file", type=Path, nargs="?", help="your solution (exercise_0N.py)")
    added.add_argument("--begin", action="store_true", help="write the file to begin with")
    added.set_defaults(run=_check)


def _check(chosen: argparse.Namespace) -> int:
    number: int = chosen.number
    path: Path = chosen.file or Path(f"exercise_{number:02}.py")
    again = f"python3 -m miniloop.study check {number}"
    if chosen.file:
        again += f" {path}"
    if chosen.begin:
        from miniloop.study.check.catalogue import EXERCISES  # other commands need none of them

        with path.open("x", encoding="utf-8") as file:  # never over what somebody has written
            file.write(EXERCISES[number].begin)
        sys.stdout.write(f"{path}: it says what to write; then: {again}\n")
        return 0
    if not path.exists():
        raise FileNotFoundError(f"there is no {path} yet; this begins one: {again} --begin")
    trial = [sys.executable, "-m", "miniloop.study.check.trial", str(number), str(path)]
    try:
        return subprocess.run(trial, check=False, timeout=PATIENCE).returncode
    except subprocess.TimeoutExpired:
        sys.stdout.write(f"no   it has not ended within {PATIENCE:.0f} s, and was stopped\n")
        return 1
