"""Commands and programs of the five doors are run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import Run
from tests.crawler import WHY_NOT
from tests.crawler.scripted import anchors, pages, serving
from website.pages import ROOT

DOORS = ("index", "learn", "swap", "test", "measure", "crawl")
_BLOCK = re.compile(r"^```(python|sh|console)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"# ([\w/]+\.py)\n")
_SINCE = re.compile(r"# Python 3\.(\d+) and newer\n")

# What these need is not installed everywhere, or takes long; the recipes' tests run the first.
ELSEWHERE = {
    "python -m miniloop -m uvicorn app:app --port 8000",
    "python -m miniloop -m pytest",
    # As tests/benchmarks/test_program.py does, with a server that needs nothing installed.
    "python -m benchmarks program --server 'uvicorn app:app --port {port} --loop {loop}' --url /",
}


def blocks(door: str) -> list[tuple[str, str]]:
    return _BLOCK.findall((ROOT / "docs" / f"{door}.md").read_text("utf-8"))


def commands(door: str, language: str) -> list[str]:
    return [
        line.removeprefix("$ ")
        for kind, block in blocks(door)
        if kind == language
        for line in block.splitlines()
    ]


def folder_with_files(door: str, folder: Path) -> None:
    """Write the files that a page prints, and what its commands take from the checkout."""
    for kind, block in blocks(door):
        if kind == "python" and (named := _FILE.match(block)) and "/" not in named[1]:
            (folder / named[1]).write_text(block, encoding="utf-8")
    (folder / "docs").symlink_to(ROOT / "docs")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader does, with this Python under the name `python`."""
    words = folder / ".bin"
    words.mkdir(exist_ok=True)
    for name, how in (("python", ""), ("crawler", "-m crawler")):
        (words / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {how} "$@"\n')
        (words / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{words}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.one_python
@pytest.mark.timeout(120)
@pytest.mark.parametrize("door", ["learn", "swap", "test", "measure"])
def test_each_command_of_a_door_works(door: str, tmp_path: Path) -> None:
    folder_with_files(door, tmp_path)
    ran = 0
    for command in commands(door, "sh"):
        if command in ELSEWHERE:
            continue
        done = shell(command, tmp_path)
        failed = done.returncode != 0
        assert failed == command.endswith("  # fails"), f"{command}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran


@pytest.mark.parametrize("door", ["learn", "swap", "test", "measure", "crawl"])
def test_each_program_of_a_door_runs_or_can_be_imported(door: str, tmp_path: Path) -> None:
    if door == "crawl" and WHY_NOT:
        pytest.skip(WHY_NOT)
    for kind, block in blocks(door):
        since = _SINCE.match(block)
        if kind != "python" or (since and sys.version_info < (3, int(since[1]))):
            continue
        program = tmp_path / "program.py"
        program.write_text(block, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "error", str(program)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), block


@pytest.mark.one_python
def test_the_late_timer_of_the_page_is_told_from_its_recording(tmp_path: Path) -> None:
    folder_with_files("learn", tmp_path)
    shell("python -m miniloop --record late.rec late.py", tmp_path)
    turns = shell("python -m miniloop.study turns late.rec", tmp_path).stdout
    told = r"3: task main at late.py:17\n.*\n.*\n.* end of sleep was due, [\d.]+ ms ago: task tick"
    assert re.search(told, turns), turns
    why = shell("python -m miniloop.study why late.rec 4", tmp_path)
    assert "late.py:7" in why.stdout, why.stdout + why.stderr
    late = shell("python -m miniloop.study late late.rec", tmp_path).stdout
    held = r"step 3 held the loop for [\d.]+ ms: task main, from late.py:17 to late.py:19"
    assert re.search(rf"{held}\n  timer .* late; task tick had set it at late.py:7", late), late


@pytest.mark.one_python
def test_the_race_of_the_page_is_told_as_it_is_printed(tmp_path: Path) -> None:
    folder_with_files("test", tmp_path)
    told = shell("python -m pytest -q -p no:cacheprovider test_account.py", tmp_path).stdout
    (printed,) = re.findall(
        r"```text\n(It needs.*?)```", (ROOT / "docs/test.md").read_text("utf-8"), re.S
    )
    said = {line.strip() for line in told.splitlines()}
    assert [line for line in printed.splitlines() if line.strip() not in said] == []


@pytest.mark.one_python
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.timeout(120)
def test_each_crawl_of_the_page_works_one_after_the_other(tmp_path: Path) -> None:
    answers = {"/": anchors("/a", "/b"), "/a": anchors("/b"), "/b": b"<p>the end</p>"}
    with serving(pages(answers)) as server:
        for command in commands("crawl", "console"):
            done = shell(command.replace("https://example.org", server.url), tmp_path)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "report.html").exists()


def claims() -> list[tuple[str, str, int]]:
    """Each line of the story: without which idea, which row, and how many per cent."""
    text = (ROOT / "docs" / "measure.md").read_text("utf-8")
    rows = re.findall(r"^\| ([a-z][a-z ,-]+) \| `(\S+/\S+)` \| (\d+) % \|$", text, re.M)
    return [(idea, row, int(percent)) for idea, row, percent in rows]


def test_the_story_of_the_ablation_has_the_committed_figures() -> None:
    run = Run.load(ROOT / "benchmarks" / "results" / "ablation-3.13.json")
    rows = {row.name: row for row in run.rows}
    wrong = []
    for idea, name, percent in claims():
        longer = rows[name].ratio(run.reference, to=f"without {idea}")
        assert longer is not None
        if round(100 * (longer.median - 1)) != percent or longer.holds(1.0):
            wrong.append(f"{idea}, {name}: {100 * (longer.median - 1):.0f} %")
    assert len(claims()) >= 10
    assert wrong == []
