"""The programs of the tour run, and show what the tour says they show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs" / "tour"

SHOWN = {
    "1_a_coroutine_by_hand.py": "the coroutine returned: THE ANSWER IS 42",
    "2_a_loop_in_forty_lines.py": "tick 2",
    "3_miniloop_turn_by_turn.py": "before turn 2: ready [<Handle Future.set_result(",
}


@pytest.mark.parametrize("name", sorted(path.name for path in TOUR.glob("*.py")))
def test_program_of_the_tour_shows_what_it_says(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(TOUR / name)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert SHOWN[name] in done.stdout


def test_every_file_that_the_tour_names_exists() -> None:
    text = (TOUR / "README.md").read_text(encoding="utf-8")
    named = {
        word.strip("(`).,;:") for word in text.split() if word.strip("(`).,;:").endswith(".py")
    }
    inside = {word for word in named if word.startswith(("kernel/", "net/", "system/"))}
    assert inside
    for word in inside:
        assert (ROOT / "miniloop" / word).is_file(), word
    for word in named - inside:
        assert (ROOT / word).is_file(), word
