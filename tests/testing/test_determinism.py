"""`check_determinism` says where two runs of a schedule differ, and why, probably."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import pytest

from miniloop.testing import NotDeterministic, check_determinism
from tests.builds import pure_only
from tests.testing import programs

pytestmark = pure_only


async def turns(number: int) -> None:
    await asyncio.create_task(programs.turns(number), name="turns")


def test_programs_whose_only_choice_is_the_order_are_deterministic() -> None:
    for test in (programs.correct, programs.half_a_transfer, programs.late_timer):
        check_determinism(test)


def test_seeded_randomness_is_deterministic() -> None:
    async def main() -> None:
        await turns(random.randrange(10))

    check_determinism(main)


async def by_the_clock() -> None:
    await turns(time.perf_counter_ns() % 97)


async def by_the_system() -> None:
    await turns(os.urandom(1)[0] % 97)


_runs = count()


async def by_memory() -> None:
    await turns(next(_runs) % 5)


async def by_threads() -> None:
    loop = asyncio.get_running_loop()
    called: list[int] = []

    def call() -> None:
        for _ in range(next(_runs) % 5 + 1):
            loop.call_soon_threadsafe(called.append, 1)

    await asyncio.to_thread(call)


@pytest.mark.parametrize(
    ("test", "source"),
    [
        (by_the_clock, "clock"),
        (by_the_system, "randomness of the system"),
        (by_memory, "keeps from one run to the next"),
        (by_threads, "threads"),
    ],
)
def test_the_likely_source_is_named(
    test: Callable[[], Coroutine[Any, Any, Any]], source: str
) -> None:
    with pytest.raises(NotDeterministic) as caught:
        check_determinism(test)
    assert source in caught.value.likely
    assert "step" in caught.value.difference
