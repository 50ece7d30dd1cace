"""A run says what it leaves to another Python, and all that is named there exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import share

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("named", [*share.ONE_PYTHON, *share.ONE_RELEASE])
def test_each_file_and_folder_that_is_named_is_there(named: str) -> None:
    assert (ROOT / named).exists()


@pytest.mark.parametrize(
    ("options", "run", "told"),
    [
        ([], ["by the marker", "in the browser", "test_readme", "test_printed"], []),
        (
            ["--share", "python"],
            ["test_readme", "test_printed"],
            ["study/test_page_seen.py", "test_readme.py"],
        ),
        (
            ["--share", "release"],
            ["test_readme"],
            ["docs/test_printed.py", "study/test_page_seen.py", "test_readme.py"],
        ),
    ],
    ids=["all", "python", "release"],
)
def test_a_run_leaves_out_what_is_not_its_share_and_says_so(
    options: list[str], run: list[str], told: list[str]
) -> None:
    tests = {
        "by the marker": "tests/test_readme.py::test_each_command_works[make demo]",
        "in the browser": "tests/study/test_page_seen.py"
        "::test_the_keyboard_alone_reaches_every_control",
        "test_readme": "tests/test_readme.py::test_the_code_runs",
        "test_printed": "tests/docs/test_printed.py"
        "::test_each_program_of_a_door_runs_or_can_be_imported[learn]",
    }
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *options, *tests.values()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert [name for name, test in tests.items() if test in lines] == run, done.stdout
    left = [line for line in lines if line.startswith("left to another Python: ")]
    assert bool(left) == bool(options)
    assert [line.split("tests/")[1] for line in lines if line.startswith("     1 tests/")] == told
