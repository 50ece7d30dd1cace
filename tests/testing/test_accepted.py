"""Wrong options, and tests that are none, are refused; a test that is skipped is skipped."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

import pytest

from miniloop import testing
from miniloop.testing.accepted import NotATest
from miniloop.testing.network import Faults, Network
from tests.builds import pure_only
from tests.testing.test_pytest_plugin import run_pytest


async def nap() -> None:
    await asyncio.sleep(1)


def not_async() -> None:
    pass


async def generator() -> Any:
    yield


MISTAKES: dict[str, Callable[[], object]] = {
    "a coroutine": lambda: nap(),
    "a function": lambda: not_async,
    "a generator": lambda: generator,
    "nothing": lambda: None,
}

WAYS = {
    "explore": testing.explore,
    "check_determinism": testing.check_determinism,
    "replay": partial(testing.replay, testing.Schedule()),
    "run_schedule": lambda test: testing.run_schedule(test, testing.Schedule()),
}


@pure_only
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_no_coroutine_function_is_neither_passed_nor_failed(way: str, mistake: str) -> None:
    call: Callable[..., object] = WAYS[way]
    with pytest.raises(NotATest, match="must be a coroutine function"):
        call(MISTAKES[mistake]())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schedules", 0),
        ("schedules", -1),
        ("schedules", 1.5),
        ("time_limit", -1),
        ("strategy", None),
        ("seed", "x"),
        ("cancel", True),
        ("lateness", nan),
        ("lateness", -1),
        ("lateness", "much"),
        ("until", nan),
        ("most_steps", 0),
        ("network", Network),
        ("network", 5),
        ("real_io", "yes"),
        ("patch_time", "now"),
    ],
)
def test_a_wrong_option_of_an_exploration_is_refused(name: str, value: object) -> None:
    options: Any = {name: value}
    with pytest.raises((TypeError, ValueError), match=f"{name} must be .*got"):
        testing.explore(nap, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start", nan),
        ("start", "x"),
        ("until", nan),
        ("until", "x"),
        ("seed", None),
        ("network", Network),
        ("real_io", "yes"),
        ("patch_time", "now"),
        ("clock", "x"),
    ],
)
def test_a_wrong_option_of_a_run_is_refused(name: str, value: object) -> None:
    options: Any = {name: value}
    with pytest.raises((TypeError, ValueError), match=f"{name} must be .*got"):
        testing.run(nap(), **options)


def test_a_run_wants_a_coroutine() -> None:
    wrong: Any = nap
    with pytest.raises(TypeError, match=r"run\(\) wants a coroutine"):
        testing.run(wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", -1), ("every", 0), ("after", -1), ("lasting", (3, 1)), ("lasting", (-1, 1))],
)
def test_faults_that_cannot_be_are_refused(name: str, value: object) -> None:
    options: Any = {name: value}
    with pytest.raises(ValueError, match=f"{name} must be .*got"):
        Faults(**options)


def test_faults_of_a_host_that_is_not_there_are_told() -> None:
    network = Network(faults=Faults(kinds=["crash"], hosts=["primray"], every=0.001))
    network.host("primary")
    with pytest.raises(ValueError, match="faults for primray: there is no such host"):
        testing.run(nap(), network=network)


def test_faults_know_a_host_by_its_name_in_any_case() -> None:
    network = Network(faults=Faults(kinds=["crash"], hosts=["Primary"], every=0.001))
    network.host("Primary")
    testing.run(nap(), network=network)
    assert any("primary" in str(entry) for entry in network.log)


@pytest.mark.parametrize("content", [b"\xff\x00", b"{", b"[1]", b'{"miniloop": 1}'])
def test_a_file_that_is_no_schedule_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="file cannot be replayed") as raised:
        testing.replay(path, nap)
    assert len(str(raised.value)) < 200 + len(str(path))


@pure_only
def test_a_failure_that_cannot_be_written_down_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    async def fail() -> None:
        raise LookupError

    with pytest.raises(testing.Failure, match=r"It could not be written down: .*file") as raised:
        testing.explore(fail, save_to=tmp_path / "file")
    assert isinstance(raised.value.error, LookupError)


@pure_only
@pytest.mark.parametrize(
    "skip",
    [pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception, unittest.SkipTest],
)
def test_a_test_that_is_skipped_has_not_failed(skip: type[BaseException]) -> None:
    async def not_here() -> None:
        await asyncio.sleep(0)
        raise skip("not here")

    with pytest.raises(skip, match="not here"):
        testing.explore(not_here)


SKIPPING = """
import pytest

@pytest.mark.miniloop(schedules=3)
async def test_skips():
    pytest.skip("not here")

@pytest.mark.miniloop(schedules=3)
async def test_is_known_to_fail():
    pytest.xfail("not yet")
"""


@pure_only
def test_pytest_counts_what_is_skipped_under_schedules_as_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SKIPPING)
    assert "= 1 skipped, 1 xfailed in" in run_pytest(tmp_path)


def test_a_number_of_schedules_that_makes_no_sense_is_bad_usage(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "--miniloop-schedules=0")
    assert "--miniloop-schedules: a whole number, 1 or more, is wanted, got '0'" in output
