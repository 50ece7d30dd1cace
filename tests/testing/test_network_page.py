"""The page about the simulated network: its programs run, one after the other, as it says."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "simulated-network.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_page_finds_its_bug_by_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    there: dict[str, Any] = {"__name__": "page"}
    for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(block, str(PAGE), "exec"), there)
    gc.collect()
    seed, told = capsys.readouterr().out.split(maxsplit=1)
    assert 0 < int(seed) < 100
    assert "partition" in told
    assert there["network"].log[0][1].startswith("partition")
    assert not told.startswith("(5, 5)")
