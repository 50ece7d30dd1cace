"""The demo site, served for as long as the tests of this package run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.crawler import WHY_NOT

if not WHY_NOT:
    from crawler.demo.launch import running
    from crawler.demo.site import Site

if TYPE_CHECKING:
    from crawler.demo.site import Addresses


class Skipped(pytest.Module):
    """A file of tests that cannot even be imported."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip(WHY_NOT, allow_module_level=True)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    if not WHY_NOT or module_path.parent != Path(__file__).parent:
        return None
    skipped: Skipped = Skipped.from_parent(parent, path=module_path)
    return skipped


@pytest.fixture(scope="session")
def site() -> Site:
    return Site(pages=144)  # six of each kind of page


@pytest.fixture(scope="session")
def at(site: Site) -> Iterator[Addresses]:
    """Where ``site`` is."""
    with running(site) as addresses:
        yield addresses
