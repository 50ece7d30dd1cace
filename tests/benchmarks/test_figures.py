"""The committed figures: one command makes them, and one makes the pictures again."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import figures, page
from benchmarks.results import Run

STEM = f"timer-{sys.version_info.major}.{sys.version_info.minor}"


def test_parts_are_measured_and_can_be_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    only = ["--only", "callbacks/timer-cancelled", "--loops", "miniloop"]
    monkeypatch.setattr(figures, "PARTS", {"timer": only})
    assert figures.main(["--quick", "--results", str(tmp_path)]) == 0
    files = {f"{STEM}.{kind}" for kind in ("json", "md", "svg")} | {"README.md"}
    assert {path.name for path in tmp_path.iterdir()} == files
    before = {name: (tmp_path / name).read_bytes() for name in files}
    (tmp_path / f"{STEM}.svg").unlink()
    assert figures.main(["--draw", "--results", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in files} == before


def test_the_committed_page_is_that_of_the_committed_runs(tmp_path: Path) -> None:
    for path in figures.RESULTS.glob("*.*"):
        if path.name != "README.md":
            shutil.copy(path, tmp_path)
    again = page.write_page(tmp_path).read_text(encoding="utf-8")
    assert (figures.RESULTS / "README.md").read_text(encoding="utf-8") == again


def test_the_page_has_a_place_for_every_part() -> None:
    assert list(page.TITLES) == list(figures.PARTS)


def test_the_readme_has_the_means_of_the_committed_runs() -> None:
    readme = (figures.RESULTS.parents[1] / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\]\(benchmarks/results/(\S+)\.md\) \|([^\n]+)\|\n", readme)
    assert rows
    for stem, cells in rows:
        run = Run.load(figures.RESULTS / f"{stem}.json")
        *told, number = (cell.strip() for cell in cells.split("|"))
        loops = ("miniloop", "miniloop-compiled", "uvloop", "rloop")
        means = [page.mean_of(run, loop) for loop in loops]
        assert told == ["" if mean is None else f"{mean[0]:.2f}" for mean in means]
        assert int(number) == len(run.rows)


def test_means_can_be_taken_over_the_rows_that_all_ran() -> None:
    run = Run.load(figures.RESULTS / "sockets-3.13.json")
    rloop = [row.name for row in run.rows if row.ratio("rloop") is not None]
    assert 0 < len(rloop) < len(run.rows)
    assert [row.name for row in page.shared_rows(run, ["miniloop", "rloop"])] == rloop
    assert page.shared_rows(run, ["a loop that never ran"]) == []


def test_unknown_part_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        figures.main(["nonsense"])
    assert ended.value.code == 2
    assert "there is no part 'nonsense'" in capsys.readouterr().err
