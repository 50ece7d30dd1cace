"""A harness that loses a failure would be worse than none: each fate of a test is told apart."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance import __main__, left_out, report, runner

# Whatever puts our loop in needs them; the harness as such does not.
NO_TESTS = importlib.util.find_spec("test.test_asyncio") is None

# One of the samples hangs, and ends with the limit. Where it is left out nothing should.
SAMPLES = runner.Options(limit=2.0, package="tests.conformance", factory="asyncio:new_event_loop")
PATIENT = replace(SAMPLES, limit=60.0)


@pytest.fixture(scope="module")
def samples() -> runner.ModuleRun:
    return runner.run_module("sample_tests", SAMPLES)


@pytest.mark.parametrize(
    ("test", "verdict", "detail"),
    [
        ("Fates.test_passes", "passed", ""),
        ("Fates.test_fails", "failed", "as it should"),
        ("Fates.test_fails_in_a_part", "failed", "as the part should"),
        ("Fates.test_hangs", "failed", "ended after 2 s"),
        ("Fates.test_kills_the_process", "failed", "died of SIGABRT"),
        ("Fates.test_skips_itself", "skipped", "for a reason"),
        ("Spoilt.test_never_runs", "failed", "spoilt from the start"),
    ],
)
def test_every_fate_is_told_apart(
    samples: runner.ModuleRun, test: str, verdict: str, detail: str
) -> None:
    outcome = samples.outcomes[f"sample_tests.{test}"]
    assert outcome.verdict == verdict
    assert detail in outcome.detail


def test_a_hang_shows_where_it_hung(samples: runner.ModuleRun) -> None:
    assert "in test_hangs" in samples.outcomes["sample_tests.Fates.test_hangs"].detail


def test_no_test_is_lost_when_its_process_is(samples: runner.ModuleRun) -> None:
    assert set(samples.tests) <= set(samples.outcomes)


@pytest.mark.skipif(NO_TESTS, reason="this interpreter comes without test.test_asyncio")
def test_a_test_that_makes_no_loop_of_ours_does_not_pass() -> None:
    options = runner.Options(
        package="tests.conformance", only="sample_tests.Fates.test_uses_no_loop"
    )
    run = runner.run_module("sample_tests", options)
    assert [outcome.verdict for outcome in run.outcomes.values()] == ["failed"]


def test_a_module_that_cannot_be_imported_is_broken() -> None:
    run = runner.run_module("sample_that_is_not_there", SAMPLES)
    assert not run.ok
    assert "ModuleNotFoundError" in run.broken
    assert "sample_that_is_not_there" in report.failures([run])


LEDGER = """
[[left_out]]
reason = "It would take an hour."
tests = ["sample_tests.Fates.test_hangs", "sample_tests.*.test_kills_*"]

[[expected_failure]]
reason = "It is known to fail."
tests = ["sample_tests.Fates.test_fails"]

[[expected_failure]]
reason = "It was known to fail once."
tests = ["sample_tests.Fates.test_passes"]

[[left_out]]
reason = "The module has lost this test."
tests = ["sample_tests.Fates.test_of_old"]
"""


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "left_out.toml"
    path.write_text(LEDGER)
    monkeypatch.setenv(left_out.LEDGER_VARIABLE, str(path))
    return path


def test_what_is_left_out_is_not_run_and_keeps_its_reason(ledger: Path) -> None:
    run = runner.run_module("sample_tests", PATIENT)
    assert run.outcomes["sample_tests.Fates.test_hangs"].verdict == "left out"
    assert run.outcomes["sample_tests.Fates.test_hangs"].detail == "It would take an hour."


def test_a_known_failure_is_no_failure_until_it_passes(ledger: Path) -> None:
    run = runner.run_module("sample_tests", PATIENT)
    assert run.outcomes["sample_tests.Fates.test_fails"].verdict == "known"
    surprise = run.outcomes["sample_tests.Fates.test_passes"]
    assert surprise.verdict == "failed"
    assert "expects it to fail" in surprise.detail


def test_an_entry_that_matches_nothing_is_found(ledger: Path) -> None:
    run = runner.run_module("sample_tests", PATIENT)
    assert __main__.stale_entries(PATIENT, [run]) == ["sample_tests.Fates.test_of_old"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[left_out]]\ntests = ["a.b.c"]', "reason must be a sentence"),
        ('[[left_out]]\nreason = "fails"\ntests = ["a.b.c"]', "reason must be a sentence"),
        ('[[left_out]]\nreason = "It says nothing."\ntests = []', "tests is empty"),
        ('[[left_out]]\nreason = "It says nothing."\ntests = "a.b.c"', "list of strings"),
        ('[[leftout]]\nreason = "It says nothing."\ntests = ["a.b.c"]', "unknown table"),
        ('[[left_out]]\nreason = "It says nothing."\ntest = ["a.b.c"]', "unknown key"),
    ],
)
def test_a_malformed_ledger_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "left_out.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        left_out.load(path)


def test_an_entry_for_another_python_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "left_out.toml"
    path.write_text(
        '[[left_out]]\nreason = "It is new there."\ntests = ["a.b.c"]\npython = ["3.13"]'
    )
    assert left_out.load(path, "3.13.0").why_left_out("a.b.c", "miniloop") == "It is new there."
    assert left_out.load(path, "3.12.1").why_left_out("a.b.c", "miniloop") is None


@pytest.mark.parametrize(
    ("versions", "python", "holds"),
    [
        ("3.1", "3.11.0", False),
        ("3.11", "3.11.12", True),
        ("3.11.0-3.11.7", "3.11.0", True),
        ("3.11.0-3.11.7", "3.11.7", True),
        ("3.11.0-3.11.7", "3.11.10", False),
        ("3.11.0-3.11.7", "3.12.0", False),
    ],
)
def test_an_entry_can_hold_for_a_range_of_versions(
    tmp_path: Path, versions: str, python: str, holds: bool
) -> None:
    path = tmp_path / "left_out.toml"
    path.write_text(
        f'[[left_out]]\nreason = "It was so there."\ntests = ["a.b.c"]\npython = ["{versions}"]'
    )
    assert (left_out.load(path, python).why_left_out("a.b.c", "miniloop") is not None) is holds
