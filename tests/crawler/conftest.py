"""The demo site, served for as long as the tests of this package run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crawler.demo.launch import running
from crawler.demo.site import Addresses, Site


@pytest.fixture(scope="session")
def site() -> Site:
    return Site(pages=144)  # six of each kind of page


@pytest.fixture(scope="session")
def at(site: Site) -> Iterator[Addresses]:
    """Where ``site`` is."""
    with running(site) as addresses:
        yield addresses
