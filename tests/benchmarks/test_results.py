"""A run survives its file, and says what it found and what it did not."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import table
from benchmarks.job import Sample, Shape
from benchmarks.results import BadResultsError, RowResult, Run

labels = st.sampled_from(["asyncio", "miniloop", "uvloop", "crawler on miniloop"])
values = st.lists(st.floats(1e-9, 10), min_size=1, max_size=9)
row_results = st.builds(
    RowResult,
    name=st.sampled_from(["callbacks/a", "sockets/b/1KiB-x10"]),
    about=st.text(),
    counts=st.just("call"),
    unit=st.sampled_from(["s", "B"]),
    shape=st.builds(Shape, size=st.integers(0, 10**6)),
    reference=st.just("asyncio"),
    control=st.just("asyncio (control)"),
    n=st.integers(1, 10**6),
    values=st.dictionaries(labels, values),
    cpu=st.dictionaries(labels, values),
    errors=st.dictionaries(labels, st.text()),
)
runs = st.builds(
    Run,
    machine=st.dictionaries(st.text(), st.text()),
    loops=st.dictionaries(labels, st.text()),
    reference=st.just("asyncio"),
    rounds=st.integers(1, 99),
    rows=st.lists(row_results, max_size=4),
)


@given(runs)
def test_run_comes_back_from_its_file_as_it_was(run: Run) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "run.json")
        run.dump(path)
        assert Run.load(path) == run


def test_rounds_of_one_loop_stand_on_one_line(tmp_path: Path) -> None:
    run = example()
    run.dump(tmp_path / "run.json")
    lines = (tmp_path / "run.json").read_text().splitlines()
    assert any(line.strip().startswith('"miniloop": [') and line.count(",") >= 8 for line in lines)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not json", "is not JSON"),
        ("[1]", "is not a result"),
        ("{}", "is not a result"),
        ('{"format": 99}', "has format 99"),
        ('{"format": 1}', "lacks a part"),
        ('{"format": 1, "rows": [{"name": "x"}]}', "lacks a part"),
    ],
)
def test_file_that_is_something_else_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(BadResultsError, match=complaint):
        Run.load(path)


def example(control: float = 1.0, miniloop: float = 0.5) -> Run:
    """Nine rounds of asyncio at a microsecond, the others relative to it."""
    row = RowResult(
        name="callbacks/chain",
        about="A chain.",
        counts="call",
        unit="s",
        shape=Shape(),
        reference="asyncio",
        control="asyncio (control)",
    )
    for label, cost in (("asyncio", 1.0), ("miniloop", miniloop), ("asyncio (control)", control)):
        for _ in range(9):
            row.add(label, Sample(1000, 1e-3 * cost, 1e-3 * cost))
    machine = {
        "date": "2026-01-02T03:04:05+00:00",
        "python": "CPython 3.13.0",
        "system": "Linux 6",
        "architecture": "x86_64",
        "compiler": "GCC 12",
        "processor": "a processor",
        "processors": "2",
    }
    return Run(machine, {"asyncio": "3.13.0", "miniloop": ""}, "asyncio", 9, [row])


def test_table_shows_cost_and_ratio() -> None:
    text = table.render(example())
    assert "1 µs/call" in text
    assert "2.00 (2.00-2.00)" in text
    assert "miniloop: geometric mean 2.00 over 1 row," in text


def test_control_that_strays_is_told() -> None:
    assert "strayed" not in table.render(example())
    assert "the control strayed from 1" in table.render(example(control=1.1))


def test_too_few_rounds_say_nothing_about_the_control() -> None:
    run = example(control=1.1)
    for values in run.rows[0].values.values():
        del values[5:]
    assert not run.rows[0].strayed


def test_slower_loop_is_counted_as_such() -> None:
    assert "slower than asyncio beyond the spread on 1" in table.render(example(miniloop=2.0))


def test_failure_is_shown_with_its_reason() -> None:
    run = example()
    run.rows[0].fail("miniloop", "NotImplementedError: later")
    text = table.render(run)
    assert "failed: callbacks/chain on miniloop: NotImplementedError: later" in text


def test_busy_far_end_is_marked() -> None:
    run = example()
    run.rows[0].far_end_cpu["miniloop"] = [0.49e-6] * 9
    assert "2.00 (2.00-2.00)*" in table.render(run)


def test_processor_time_can_stand_in_for_elapsed_time() -> None:
    run = example()
    run.rows[0].cpu["miniloop"] = [0.25e-6] * 9
    ratio = run.rows[0].by_processor().ratio("miniloop")
    assert ratio is not None
    assert ratio.median == pytest.approx(4)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.5e-9, "s", "1.5 ns"),
        (2e-6, "s", "2 µs"),
        (0.25, "s", "250 ms"),
        (3.0, "s", "3 s"),
        (100, "B", "100 B"),
        (2048, "B", "2 KiB"),
    ],
)
def test_amounts_have_units_that_suit_them(value: float, unit: str, text: str) -> None:
    assert table.amount(value, unit) == text


def test_ablation_shows_how_much_longer_it_takes_without() -> None:
    run = example()
    (row,) = run.rows
    run.reference = row.reference = "miniloop"
    row.control = "miniloop (control)"
    row.values = {
        "miniloop": [1e-6] * 9,
        "without raw epoll": [1.5e-6] * 9,
        "without a clock": [0.9e-6, 1.2e-6, 1.0e-6] * 3,
        "miniloop (control)": [1e-6] * 9,
    }
    text = table.render(run)
    assert "+50%" in text
    assert "(+0%)" in text
