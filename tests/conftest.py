"""What every test may ask for: a loop of each kind, and a coroutine run on it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

import miniloop
from tests import share
from tests.browser import browser  # noqa: F401 - a fixture for the tests of pages
from tests.inherited_signals import heed_signals

T = TypeVar("T")

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

LOOPS: dict[str, LoopFactory] = {
    "miniloop": miniloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}


# How long an example takes says how busy the machine is; what hangs, the limit of its test finds.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    what = "which tests to run: %(choices)s (default: all); see tests/share.py"
    parser.addoption("--share", choices=share.SHARES, default="all", help=what)


# Last, so that what is asked for by name or marker has been chosen before.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share.leave_to_others(config, items)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in share.what_was_left(config):
        terminalreporter.write_line(line)


def pytest_configure() -> None:
    heed_signals()


@pytest.fixture(scope="module", autouse=True)
def leave_the_rest_to_itself() -> None:
    """Have the garbage collector look only at what is made from here on.

    `run` collects after each test, and others do so many times over. What was imported and kept by
    the tests before stays for good; looking at it again each time costs 30 ms and not 1.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(params=LOOPS.values(), ids=LOOPS.keys())
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    """Each loop in turn, so that asyncio itself vouches for what the test says of asyncio."""
    factory: LoopFactory = request.param
    return factory


@pytest.fixture
def run(loop_factory: LoopFactory) -> Callable[..., Any]:
    """``run(main, *args)`` runs ``main(*args)`` on a new loop, closes it and gives the result.

    Whatever is left behind unclosed is collected at once, so that its ``ResourceWarning`` fails
    the test which left it and not one that happens to run later.
    """

    def run_on_new_loop(main: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        try:
            with asyncio.Runner(loop_factory=loop_factory, debug=False) as runner:
                return runner.run(main(*args))
        finally:
            gc.collect()

    return run_on_new_loop
