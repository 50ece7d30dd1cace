"""The rows that tell a delay: known delays come out as they are, on a table that says "late"."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.cli import main
from benchmarks.job import GRAIN, LATE, Job, Shape
from benchmarks.results import RowResult, Run
from benchmarks.studies import lateness
from benchmarks.studies.lateness import LONGEST, TURNS, mix
from tests.benchmarks.test_results import example


def delayed(delays: list[float], percentile: int) -> float:
    """What a row has as its figure after one round with those delays."""
    shape = Shape(percentile=percentile)
    job = Job(len(delays), shape)
    job.record_delays(delays)
    row = RowResult("lateness/x", "Late.", "timer", LATE, shape, "asyncio", "asyncio (control)")
    row.add("asyncio", job.finish(len(delays)))
    return row.cost("asyncio").median


def test_known_delays_give_their_median_99th_and_worst() -> None:
    delays = [number * 1e-3 for number in range(200, 0, -1)]
    figures = [delayed(delays, percentile) for percentile in (50, 99, 100)]
    assert figures == pytest.approx([0.100, 0.198, 0.200])


def test_what_strikes_early_is_on_time() -> None:
    assert delayed([-0.001] * 10, 50) == pytest.approx(GRAIN)


def test_table_says_who_is_less_late() -> None:
    run = example()
    row = run.rows[0]
    row.name, row.unit = "lateness/timers/p99", LATE
    row.values = {
        "asyncio": [4e-3] * 9,
        "miniloop": [2e-3] * 9,
        "uvloop": [8e-3] * 9,
        "asyncio (control)": [4e-3] * 9,
    }
    text = table.render(run)
    assert "4 ms late" in text
    assert "2 ms, 2.00 (2.00-2.00)" in text
    assert "8 ms, 0.50 (0.50-0.50)" in text
    assert "uvloop: geometric mean 0.50 over 1 row, later than asyncio" in text
    # Processor time is no delay, and does not stand in for it.
    assert row.by_processor() is row


def test_mix_is_the_same_each_time_and_mostly_of_short_turns() -> None:
    turns = list(mix(TURNS))
    assert turns == list(mix(TURNS))
    lengths = sorted(turn.seconds for turn in turns)
    assert lengths[TURNS // 2] < 100e-6
    assert LONGEST / 2 < lengths[-1] <= LONGEST
    assert all(0 <= turn.send_after <= turn.seconds for turn in turns)
    assert any(turn.spell for turn in turns)


@pytest.mark.timeout(120)
def test_quick_run_has_the_delays_of_both_loops(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    arguments = ["--only", "lateness/timers/p99", "--quick", "--rounds", "1"]
    assert main([*arguments, "--loops", "asyncio,miniloop", "--json", str(path)]) == 0
    (row,) = Run.load(path).rows
    assert set(row.values) == {"asyncio", "miniloop", "asyncio (control)"}
    assert row.n == lateness.TURNS
    # Turns of many milliseconds are in the mix, and what is due in one of them has to wait.
    assert all(1e-3 < figure < 10 for figures in row.values.values() for figure in figures)
