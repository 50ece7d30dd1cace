"""Which `with` blocks a frame is in, by its source: for frames that do not show their stack."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from miniloop.study.blocks import lines_of_open_blocks, managers_by_name

OUTER: Any = contextlib.nullcontext("outer")


class Owner:
    """A block of one of its attributes is in here, and of one that would run code."""

    def __init__(self) -> None:
        self.inner = contextlib.nullcontext("inner")

    @property
    def computed(self) -> Any:
        raise AssertionError("the report must not run code of the program")

    def look(self) -> tuple[list[tuple[Any, int]], tuple[int, ...]]:
        with OUTER, self.inner, contextlib.suppress(ZeroDivisionError):  # which has no name
            frame = sys._getframe()
            by_name = list(managers_by_name(frame))
            return by_name, lines_of_open_blocks(frame.f_code, frame.f_lasti)

    def look_after(self) -> list[tuple[Any, int]]:
        with OUTER:
            pass
        with contextlib.suppress(AssertionError), self.computed:
            return []
        return list(managers_by_name(sys._getframe()))


def test_named_blocks_are_found_with_their_lines() -> None:
    owner = Owner()
    by_name, lines = owner.look()
    line = Owner.look.__code__.co_firstlineno + 1
    assert by_name == [(OUTER, line), (owner.inner, line)]
    assert lines == (line, line, line)


def test_blocks_that_were_left_are_not_found_and_nothing_is_run() -> None:
    assert Owner().look_after() == []
