"""The page "Test your asyncio program": each of its programs shows its bug, and not when mended."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from miniloop.testing import explore, find_failure

FOLDER = Path(__file__).parents[2] / "docs" / "test-your-program"

PROGRAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "lost_update": ("lateness", {}),
    "half_a_transfer": ("cancellation", {"cancel": "transfer"}),
    "slow_lock": ("lateness", {"lateness": 0.25}),
    "missed_event": ("order", {}),
    "doubled_order": ("lateness", {}),
}


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"how_to_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_bug_is_found_and_is_gone_when_mended(name: str) -> None:
    verdict, options = PROGRAMS[name]
    program = load(name)
    failure = find_failure(program.test_buggy, save=False, **options)
    assert failure is not None
    assert failure.verdict == verdict
    assert explore(program.test_fixed, schedules=300, save=False, **options).schedules == 300


def test_the_page_names_every_program() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\[`(\w+)\.py`\]", text)) == set(PROGRAMS)
    assert {path.stem for path in FOLDER.glob("*.py")} == set(PROGRAMS)


def test_the_page_shows_what_the_first_one_leaves() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    failure = find_failure(load("lost_update").test_buggy, save=False)
    assert failure is not None
    assert failure.story.startswith(shown.rstrip())
