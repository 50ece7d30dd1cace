"""Which build of the loop is under test: the files of Python, or what was compiled of them."""

from __future__ import annotations

import pytest

import miniloop

__all__ = ["pure_only"]

# What puts functions of its own into the kernel, or watches each line of it, can do so in Python
# only: docs/decisions/compiled.md.
pure_only = pytest.mark.skipif(
    miniloop.COMPILED, reason="the kernel is compiled: its functions cannot be exchanged or watched"
)
