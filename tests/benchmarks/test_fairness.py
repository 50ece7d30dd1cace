"""The rows of fairness: they have a figure also where somebody hardly gets a turn."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.job import Job, WorkNotDoneError
from benchmarks.studies import fairness
from tests.conftest import LoopFactory


def test_the_turns_of_a_thread_end_in_time_and_give_the_time_of_one(
    loop_factory: LoopFactory,
) -> None:
    job = Job(1_000_000_000)  # more than anybody takes in that time
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        sample = job.finish(runner.run(fairness.thread_beside_tasks(job)))
    assert 1e-7 < sample.value / sample.n < 10 * fairness.LONGEST
    assert sample.cpu > 0


def test_a_thread_without_a_turn_is_an_error(
    loop_factory: LoopFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fairness, "LONGEST", 0.0)
    job = Job(0)
    with (
        asyncio.Runner(loop_factory=loop_factory) as runner,
        pytest.raises(WorkNotDoneError, match="no turn"),
    ):
        runner.run(fairness.thread_beside_tasks(job))
