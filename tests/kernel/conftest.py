"""Loops that the tests drive by hand, and the exceptions that they report."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import miniloop


@pytest.fixture
def loop(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of each kind in turn, closed afterwards."""
    loop = loop_factory()
    yield loop
    loop.close()
    gc.collect()


@pytest.fixture
def mini() -> Iterator[miniloop.EventLoop]:
    """A miniloop, for what only ours promises."""
    loop = miniloop.new_event_loop()
    yield loop
    loop.close()
    gc.collect()


@pytest.fixture
def turn() -> Callable[[asyncio.AbstractEventLoop], None]:
    """``turn(loop)`` has the loop take exactly one turn."""

    def one_turn(loop: asyncio.AbstractEventLoop) -> None:
        loop.stop()
        loop.run_forever()

    return one_turn


@pytest.fixture
def reports() -> Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]:
    """``reports(loop)`` is a list to which everything is added that the loop reports."""

    def collect(loop: asyncio.AbstractEventLoop) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: seen.append(context))
        return seen

    return collect
