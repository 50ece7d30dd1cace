"""Each system call fails in turn: it is absorbed or told, and nothing is left behind."""

from __future__ import annotations

import asyncio
import errno
import gc
import multiprocessing
import os
import random
import sys
from collections.abc import Iterator

import pytest

from tests.crawler import WHY_NOT
from tests.faults.judging import Case, cases_of, judge
from tests.faults.scenarios import SCENARIOS, Told

if not WHY_NOT:  # there is a crawler on this Python
    from tests.faults import client_scenarios  # noqa: F401  # it adds its scenarios

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="what is made to fail is Linux's"
)

# Of the cases of each scenario, every run tries so many, other ones on each Python.
IN_A_RUN = 25

# What is right although it breaks the rule: the call that fails, and why.
EXCEPTIONS = {
    # As in asyncio: a pipe reports the error of a read to the handler, and its reader raises it.
    "read": "the handler was told of what was raised as well",
    # The status is lost; asyncio's documentation says that 255 is reported, and a warning logged.
    "waitpid": "the exit status of child process",
}


def sample(cases: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    chosen = random.Random(sys.version_info.minor).sample(cases, min(IN_A_RUN, len(cases)))
    yield from sorted(chosen)


def unexpected(found: list[Case]) -> list[str]:
    """What is wrong and has no reason, in words."""
    return [
        str(case)
        for case in found
        if not any(
            case.kernel.struck == call and reason in str(case)
            for call, reason in EXCEPTIONS.items()
        )
    ]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_call_that_fails_is_absorbed_or_told_and_leaves_nothing(name: str) -> None:
    scenario = SCENARIOS[name]
    assert unexpected(judge(scenario, sample(list(cases_of(scenario))))) == []


async def swallows(told: Told) -> bool:
    try:
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    except OSError:
        return False
    return True


async def leaves_a_descriptor(told: Told) -> bool:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.writev(writing, [b"x"])
    os.close(reading)
    os.close(writing)
    return True


async def waits_for_ever(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    try:
        await loop.getaddrinfo("localhost", 80)
    except OSError:
        await loop.create_future()
    return True


async def reports_twice(told: Told) -> bool:
    loop = asyncio.get_running_loop()
    try:
        await loop.getaddrinfo("localhost", 80)
    except OSError as exc:
        loop.call_exception_handler({"message": "once", "exception": exc})
        loop.call_exception_handler({"message": "and again", "exception": exc})
        raise
    return True


@pytest.mark.parametrize(
    ("scenario", "wrong"),
    [
        (swallows, "nobody was told"),
        (leaves_a_descriptor, "descriptors are left"),
        (waits_for_ever, "it hangs"),
        (reports_twice, "the handler was told 2 times"),
    ],
)
def test_a_program_that_does_it_wrong_is_found_out(
    scenario: object, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.judging.LIMIT", 0.2)
    found = judge(scenario)  # type: ignore[arg-type]
    assert any(wrong in str(case) for case in found)


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_a_full_disk_is_the_end_of_a_crawl_and_said_so() -> None:
    scenario = SCENARIOS["whole_crawl"]
    raised = []

    async def watched(told: Told) -> bool:
        try:
            return await scenario(told)
        except OSError as exc:
            raised.append(exc.errno)
            raise

    assert unexpected(judge(watched)) == []
    assert errno.ENOSPC in raised


def _all_of(name: str) -> list[str]:
    gc.freeze()  # each case collects: what was imported need not be looked at each time
    return [f"{name}: {what}" for what in unexpected(judge(SCENARIOS[name]))]


@pytest.mark.soak
def test_every_call_fails_with_every_error(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled(), multiprocessing.get_context("spawn").Pool() as pool:
        for name, wrong in zip(SCENARIOS, pool.imap(_all_of, SCENARIOS), strict=True):
            print(f"{name}: {len(wrong)} wrong", flush=True)
            assert wrong == []
