"""Each bug of the corpus is found by `explore` with its default budget, the mended one is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from miniloop.testing import explore, find_failure
from tests.builds import pure_only
from tests.testing.corpus import Bug, bugs
from tests.testing.corpus.table import lines, measure

pytestmark = pure_only

ROOT = Path(__file__).parents[2]
BUGS = bugs()

every_bug = pytest.mark.parametrize("bug", BUGS, ids=str)


@every_bug
def test_explore_finds_the_bug(bug: Bug) -> None:
    failure = find_failure(bug.buggy, save=False, **bug.options)
    assert failure is not None
    assert failure.story


@every_bug
def test_the_mended_program_passes(bug: Bug) -> None:
    explore(bug.fixed, schedules=100, save=False, **bug.options)


@pytest.mark.soak
@every_bug
def test_the_mended_program_passes_with_the_whole_budget(bug: Bug) -> None:
    explore(bug.fixed, save=False, **bug.options)


def test_each_bug_has_a_report_of_its_own_and_a_kind() -> None:
    assert len(BUGS) >= 20
    assert len({bug.report for bug in BUGS}) == len(BUGS)
    for bug in BUGS:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", bug.report), bug
        assert bug.kind
        assert bug.module.__doc__


def test_the_page_lists_the_bugs_that_there_are() -> None:
    page = (ROOT / "docs" / "bugs-found.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\w+) \| ([^|]*) \| \[([^]]*)\]", page, re.MULTILINE)
    assert listed == [(bug.name, bug.kind, bug.report) for bug in BUGS]


def test_the_table_compares_both_ways() -> None:
    bug = next(bug for bug in BUGS if bug.name == "wait_for_hides_cancel")
    row = measure(bug, runs=50)
    assert row.schedules is not None
    text = "\n".join(lines([row], runs=50))
    assert "wait_for_hides_cancel" in text
    assert "**1 found**" in text
