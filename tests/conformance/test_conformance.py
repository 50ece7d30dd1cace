"""CPython's own asyncio tests on miniloop, one pytest test for each of their modules.

All modules are started at once, in processes of their own, and each test here waits for one.
`make conformance` shows the same as a table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.builds import pure_only
from tests.conformance import __main__, report, runner

KNOWN_PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14), (3, 15))
"""The ledger of tests that are left out was written for these."""

Running = dict[str, Future[runner.ModuleRun]]

try:
    MODULES, REASON = runner.modules(), ""
except runner.Unavailable as unavailable:
    MODULES, REASON = ["test_asyncio"], str(unavailable)

pytestmark = [
    pytest.mark.skipif(bool(REASON), reason=REASON),
    pytest.mark.skipif(
        sys.version_info[:2] not in KNOWN_PYTHONS,
        reason="the ledger of left-out tests covers CPython 3.11 to 3.15",
    ),
    # The whole of it: the first test to wait may have to wait for every slow module.
    pytest.mark.timeout(600),
]

OPTIONS = runner.Options()


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The runs of those modules whose tests were asked for."""
    wanted = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.path == request.path
        and hasattr(item, "callspec")
    }
    futures = runner.start(OPTIONS, [name for name in MODULES if name in wanted])
    yield futures
    for future in futures.values():
        future.cancel()


@pytest.mark.parametrize("name", MODULES)
def test_behaves_like_asyncio_in(name: str, running: Running) -> None:
    run = running[name].result()
    assert run.ok, report.failures([run])
    stale = __main__.stale_entries(OPTIONS, [run])
    assert not stale, f"left_out.toml has entries that match no test of this Python: {stale}"
    if not run.with_verdict("passed"):
        pytest.skip(run.skipped or "every test of this module is left out: see left_out.toml")


@pure_only  # a recorder watches the functions of Python
@pytest.mark.parametrize(
    "name",
    [
        *("test_futures", "test_locks", "test_queues", "test_streams", "test_unix_events"),
        *(pytest.param(name, marks=pytest.mark.soak) for name in MODULES),
    ],
)
def test_behaves_like_asyncio_with_a_recorder_in(name: str) -> None:
    run = runner.run_module(name, runner.Options(record=True))
    assert run.ok, report.failures([run])
