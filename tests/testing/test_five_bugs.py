"""docs/five-bugs.md: its programs fail as the page says, and the mended ones do not fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.builds import pure_only
from tests.swap.launch import plain

pytestmark = [pure_only, pytest.mark.timeout(120)]  # each test starts an interpreter

PAGE = (Path(__file__).parents[2] / "docs" / "five-bugs.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.M | re.S))
MENDED = dict(re.findall(r"^```python\n# (\w+\.py), mended\n(.*?)^```$", PAGE, re.M | re.S))
OUTPUTS = dict(re.findall(r"^```console\n\$ python (\S+)\n(.*?)^```$", PAGE, re.M | re.S))
MAIN = 'if __name__ == "__main__":'


def test_each_program_has_its_output_and_is_mended() -> None:
    assert len(PROGRAMS) == 5
    assert list(PROGRAMS) == list(MENDED) == list(OUTPUTS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_fails_as_the_page_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(f"# {name}\n{PROGRAMS[name]}", encoding="utf-8")
    done = plain(name, cwd=tmp_path)
    assert done.returncode == 1
    assert OUTPUTS[name] in done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_mended_program_passes(tmp_path: Path, name: str) -> None:
    program, main, rest = PROGRAMS[name].partition(MAIN)
    (tmp_path / name).write_text(f"{program}\n{MENDED[name]}\n{main}{rest}", encoding="utf-8")
    done = plain(name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
