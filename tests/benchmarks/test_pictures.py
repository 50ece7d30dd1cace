"""Pictures, pages and pyperf's files: drawn from a result, and the same each time."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import plot, pyperf_files, report
from benchmarks.job import Shape
from benchmarks.results import RowResult
from tests.benchmarks.test_results import example

SVG = "{http://www.w3.org/2000/svg}"


def words(path: Path) -> str:
    """All the text of an SVG file, which must be well-formed."""
    return " ".join(element.text or "" for element in ElementTree.parse(path).iter(f"{SVG}text"))


def test_bars_name_rows_and_loops(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot.draw(example(), tmp_path / "a.svg")
    text = words(tmp_path / "a.svg")
    assert "chain" in text
    assert "miniloop" in text
    assert "CPython 3.13.0" in text
    assert "2026-01-02" in text


def test_same_result_gives_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot.draw(example(), tmp_path / "a.svg")
    plot.draw(example(), tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_growth_is_drawn_as_curves(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = example()
    run.rows = [
        RowResult(
            name=f"growth/timers/{count}",
            about="Timers.",
            counts="timer",
            unit="s",
            shape=Shape(count=count),
            reference="asyncio",
            control="asyncio (control)",
            values={"asyncio": [1e-6 * count] * 9, "miniloop": [1e-6] * 9},
        )
        for count in (1, 10, 100)
    ]
    plot.draw(run, tmp_path / "a.svg")
    assert "cost by number of timers" in words(tmp_path / "a.svg")


def test_reference_alone_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = example()
    run.rows[0].fail("miniloop", "it was not there")
    plot.draw(run, tmp_path / "a.svg")
    assert "chain" in words(tmp_path / "a.svg")


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = example()
    run.rows = []
    with pytest.raises(ValueError, match="nothing to plot"):
        plot.draw(run, tmp_path / "a.svg")


def test_report_holds_tables_and_pictures_and_needs_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = example()
    run.rows[0].fail("uvloop", "<script>")
    report.write(run, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "<table>" in page
    assert "<svg" in page
    assert "A chain." in page
    assert "<script>" not in page
    assert not re.search(r'(src|href)="(?!#)', page)


def test_pyperf_reads_our_files(tmp_path: Path) -> None:
    pyperf = pytest.importorskip("pyperf")
    files = pyperf_files.write(example(), tmp_path)
    assert {path.name for path in files} == {
        "asyncio.json",
        "miniloop.json",
        "asyncio-control.json",
    }
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "miniloop.json"))
    (benchmark,) = suite.get_benchmarks()
    assert benchmark.get_name() == "callbacks/chain"
    assert benchmark.median() == pytest.approx(0.5e-6)
    assert benchmark.get_nvalue() == 9
