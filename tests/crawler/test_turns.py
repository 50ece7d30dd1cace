"""Pages are read in turns: many short ones in a row, and others have theirs in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest

from crawler.page import Turns
from crawler.page.turns import BYTES_A_TURN, SHORT

Run = Callable[..., Any]


def page(number: int, log: list[Any]) -> Generator[None, None, int]:
    try:
        yield None
        log.append(number)
        return number
    finally:
        log.append("closed")


async def in_turns(log: list[Any], sizes: list[int]) -> list[int]:
    """Read pages of these sizes; the log tells where the turns of the loop are."""
    turns, loop = Turns(), asyncio.get_running_loop()
    reading = asyncio.gather(*(turns.run(page(n, log), size) for n, size in enumerate(sizes)))

    def tick() -> None:
        log.append("turn")
        if not reading.done():
            loop.call_soon(tick)

    loop.call_soon(tick)
    return await reading


def test_short_pages_of_a_turn_are_read_in_a_row(run: Run) -> None:
    log: list[Any] = []
    assert run(in_turns, log, [100] * 50) == list(range(50))
    read = [entry for entry in log if entry != "closed"]
    assert read[read.index(0) : read.index(49) + 1] == list(range(50))


def test_others_have_their_turn_before_too_many_pages_are_read(run: Run) -> None:
    log: list[Any] = []
    pages = 4 * BYTES_A_TURN // SHORT
    assert run(in_turns, log, [SHORT] * pages) == list(range(pages))
    rows = "".join("|" if entry == "turn" else "." * (entry != "closed") for entry in log)
    assert max(map(len, rows.split("|"))) <= BYTES_A_TURN // SHORT + 1


def test_a_page_that_nobody_waits_for_any_more_is_not_read(run: Run) -> None:
    log: list[Any] = []

    async def main() -> int:
        turns = Turns()
        given_up, kept = (asyncio.ensure_future(turns.run(page(n, log), 100)) for n in (1, 2))
        asyncio.get_running_loop().call_soon(given_up.cancel)
        with pytest.raises(asyncio.CancelledError):
            await given_up
        return await kept

    assert run(main) == 2
    assert 1 not in log


def test_an_error_is_for_who_waits_for_that_page(run: Run) -> None:
    def broken() -> Generator[None, None, int]:
        yield None
        raise ValueError("broken")

    async def main() -> list[Any]:
        turns = Turns()
        reading = (turns.run(steps, 100) for steps in (page(1, []), broken(), page(2, [])))
        return await asyncio.gather(*reading, return_exceptions=True)

    one, error, two = run(main)
    assert (one, two) == (1, 2)
    assert isinstance(error, ValueError)
