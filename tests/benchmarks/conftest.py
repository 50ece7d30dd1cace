"""A far end for all the tests of the benchmarks: it is as slow to start as Python is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.peers import control


@pytest.fixture(scope="session")
def far_end() -> Iterator[tuple[str, int]]:
    """The control address of a far end."""
    with control.started() as address:
        yield address
