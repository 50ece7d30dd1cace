"""The committed figures: one command makes them, and one makes the pictures again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import figures

STEM = f"timer-{sys.version_info.major}.{sys.version_info.minor}"


def test_parts_are_measured_and_can_be_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    only = ["--only", "callbacks/timer-cancelled", "--loops", "miniloop"]
    monkeypatch.setattr(figures, "PARTS", {"timer": only})
    assert figures.main(["--quick", "--results", str(tmp_path)]) == 0
    files = {f"{STEM}.{kind}" for kind in ("json", "md", "svg")}
    assert {path.name for path in tmp_path.iterdir()} == files
    before = {name: (tmp_path / name).read_bytes() for name in files}
    (tmp_path / f"{STEM}.svg").unlink()
    assert figures.main(["--draw", "--results", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in files} == before


def test_unknown_part_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        figures.main(["nonsense"])
    assert ended.value.code == 2
    assert "there is no part 'nonsense'" in capsys.readouterr().err
