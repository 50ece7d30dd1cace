"""Instructions of the builds without an idea: how they are counted, and the table of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import catalogue, loops, table
from benchmarks.ablation import instructions
from benchmarks.job import INSTRUCTIONS, Shape
from benchmarks.results import RowResult, Run

# Writes what valgrind would write: of each run the count before it and the count in it.
PRETENDER = """\
import sys
(out,) = [word.partition("=")[2] for word in sys.argv if "out-file" in word]
counts = [900, 5_000_000, 700, 3_000_000, 700, 5_000_000, 700, 9, 700, 10_000_000, 700, 70_000_000]
for number, counted in enumerate(counts, 1):
    with open(f"{out}.{number}", "w") as file:
        file.write(f"events: Ir\\ntotals: {counted}\\n")
"""


def test_the_additional_operations_of_the_last_run_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pretender.py").write_text(PRETENDER, encoding="utf-8")
    valgrind = tmp_path / "valgrind"
    valgrind.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/pretender.py" "$@"\n')
    valgrind.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    rows = catalogue.select(["callbacks/call-soon-chain", "callbacks/gather"])
    # 1000 operations more in the first row, and 10,000, of which it is made up, in the second.
    assert instructions.count(loops.find("asyncio"), rows) == [2000, 6000]


def test_what_is_counted_is_the_work_of_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    marks: list[int] = []
    monkeypatch.setattr(instructions.os, "getloadavg", lambda: marks.append(1))
    instructions.main(["asyncio", "", "callbacks/call-soon-chain"])
    assert len(marks) == 2 * len(instructions.RUNS)


def test_without_valgrind_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(instructions.InstructionsError, match="valgrind is not installed"):
        instructions.count(loops.find("asyncio"), [])


def test_the_table_has_the_count_of_the_whole_and_what_each_idea_takes_off() -> None:
    row = RowResult("callbacks/gather", "", "task", INSTRUCTIONS, Shape(), "whole", "again")
    row.values = {"whole": [20_000.0], "without: an idea": [21_500.0], "again": [20_020.0]}
    machine = dict.fromkeys(
        ("python", "compiler", "system", "architecture", "processors", "processor", "date"), ""
    )
    text = table.render(Run(machine, {"miniloop-compiled": ""}, "miniloop-compiled", 1, [row]))
    assert "20,000" in text
    assert "+7.5%" in text
    assert "+0.1%" in text
