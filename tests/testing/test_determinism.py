"""`check_determinism` says where two runs of a schedule differ, and why, probably."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
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


async def by_the_date() -> None:
    await turns(datetime.now(UTC).microsecond % 97)


async def by_secrets() -> None:
    await turns(secrets.token_bytes(1)[0] % 97)


async def by_both() -> None:
    await turns((time.perf_counter_ns() + uuid.uuid4().int) % 97)


async def by_strings() -> None:
    for text in {"a" * size for size in range(1, 20)}:
        await asyncio.sleep(len(text))


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
        (by_the_date, "clock"),
        (by_secrets, "randomness of the system"),
        (by_both, "follow the virtual one, and randomness of the system"),
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


def test_strings_have_another_order_in_another_process() -> None:
    check_determinism(by_strings)
    with pytest.raises(NotDeterministic, match="PYTHONHASHSEED") as caught:
        check_determinism(by_strings, processes=True)
    assert "of two processes differs: `" in caught.value.difference

    async def nobody_finds_it() -> None: ...

    with pytest.raises(ValueError, match="can only find a function of a module"):
        check_determinism(nobody_finds_it, processes=True)
