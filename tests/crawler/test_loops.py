"""Names of loops, and the loops that they make."""

from __future__ import annotations

import asyncio
import sys

import pytest

import miniloop
from crawler.loops import UnknownLoop, loop_factory


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("miniloop", miniloop.EventLoop),
        ("asyncio", asyncio.SelectorEventLoop),
        ("miniloop:EventLoop", miniloop.EventLoop),
    ],
)
def test_a_name_stands_for_a_loop(name: str, kind: type) -> None:
    loop = loop_factory(name)()
    try:
        assert type(loop) is kind
    finally:
        loop.close()


def test_uvloop_is_named_by_its_name() -> None:
    uvloop = pytest.importorskip("uvloop")
    loop = loop_factory("uvloop")()
    assert isinstance(loop, uvloop.Loop)
    loop.close()


def test_a_loop_that_is_not_installed_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(UnknownLoop, match="cannot import uvloop for the loop 'uvloop'"):
        loop_factory("uvloop")


@pytest.mark.parametrize("name", ["", "fast", ":", "a:", ":b"])
def test_a_name_that_stands_for_nothing_is_an_error_in_words(name: str) -> None:
    with pytest.raises(UnknownLoop, match="must be one of miniloop, asyncio, uvloop or module"):
        loop_factory(name)
