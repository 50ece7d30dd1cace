"""The README cannot lie: its commands are run, its code is run, its links lead somewhere."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from tests.crawler import WHY_NOT

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# These would start this very test again, or install what is not there; that the chore exists is all
# that can be asked. tests/docs builds the site.
TESTED_ELSEWHERE = {"make test", "make docs"}
# What these run is not installed everywhere.
RUNS_THE_CRAWLER = {"make demo"}
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
NO_CODE |= {tokenize.ENDMARKER}
# A block that begins so is for that Python and newer.
SINCE = re.compile(r"# Python 3\.(\d+) and newer")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [
    line.removeprefix("$ ")
    for block in blocks("console")
    for line in block.splitlines()
    if line.startswith("$ ")
]


def make(command: str, *options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A ``make`` command in this test's own environment, so that nothing is installed.

    It runs in a folder that looks like this one, where the files that it leaves are in no one's
    way.
    """
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.suffix != ".txt":
            (folder / entry.name).symlink_to(entry)
    words = [*command.split(), *options, f"VENV={sys.prefix}", f"PYTHON={sys.executable}"]
    # Not a part of the make that runs these tests, if one does.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.one_python
@pytest.mark.timeout(320)
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_works(command: str, tmp_path: Path) -> None:
    assert command.startswith("make "), "this test only knows how to run chores"
    if command in RUNS_THE_CRAWLER and WHY_NOT:
        pytest.skip(WHY_NOT)
    options = ["--dry-run"] if command in TESTED_ELSEWHERE else []
    done = make(command, *options, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_runs(tmp_path: Path) -> None:
    wanted = []
    for block in blocks("python"):
        since = SINCE.match(block)
        if since is None or sys.version_info >= (3, int(since[1])):
            wanted.append(block)
    assert wanted
    script = tmp_path / "readme.py"
    script.write_text("\n".join(wanted), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.startswith("hello from miniloop") for line in done.stdout.splitlines())


def test_each_link_within_the_project_leads_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert targets
    assert not missing


def test_each_folder_that_is_named_exists() -> None:
    named = re.findall(r"^\| `(\S+)/`", README, re.MULTILINE)
    assert named
    assert [name for name in named if not (ROOT / name).is_dir()] == []


def test_nobody_is_sent_to_the_unrelated_package_of_that_name() -> None:
    assert not re.search(r"pip3? install (-\S+ )*['\"]?miniloop", README)


def test_the_kernel_has_half_as_many_lines_of_explanation_as_of_code() -> None:
    assert "lines of code, and half as many of explanation" in README
    counts = [lines_of(path) for path in (ROOT / "miniloop" / "kernel").glob("*.py")]
    code, words = (sum(count) for count in zip(*counts, strict=True))
    assert 0.4 < words / code < 0.65


def test_the_changelog_says_nothing_twice() -> None:
    told = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("## [Unreleased]")[2]
    for kind in ("###", "-"):  # sections, and entries: lines that two branches have added
        lines = re.findall(rf"(?m)^{kind} .*$", told)
        assert sorted(lines) == sorted(set(lines))


def lines_of(path: Path) -> tuple[int, int]:
    """How many lines of a file are code, and how many are words or blank."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            docstrings |= {*range(docstring.lineno, (docstring.end_lineno or 0) + 1)}
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    } - docstrings
    return len(code), source.count("\n") - len(code)
