"""What the site in docs/ says: it can be built, it leads somewhere, and what it says is so."""

from __future__ import annotations

import importlib.util

import pytest

# The site is the same whichever Python builds it, and what takes long need not be done six times.
on_one_python = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None,
    reason="mkdocs is not installed: pages are tested on one Python",
)
