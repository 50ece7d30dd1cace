"""What the crawler does. It needs can_ada, which has no wheel for CPython 3.15 yet."""

from __future__ import annotations

import importlib.util

import pytest

WHY_NOT = (
    "can_ada, by which the crawler reads URLs, is not installed"
    if importlib.util.find_spec("can_ada") is None
    else ""
)
"""Why nothing of the crawler can be tested; empty if it can."""

needs_crawler = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
