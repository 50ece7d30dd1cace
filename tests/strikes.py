"""Ctrl-C at a chosen point: KeyboardInterrupt is raised as Python could raise it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType


class Strike:
    """A profile function that raises KeyboardInterrupt at the n-th point where Ctrl-C may strike.

    Such a point is the begin of a function, or the return of a function in C, in a frame that
    `may_strike`. CPython 3.11 drops the frame of a function that a profile function fails to let
    in, so there only what follows a call of a C function is struck.
    """

    def __init__(self, at: int, may_strike: Callable[[FrameType], bool]) -> None:
        self.left = at
        self.where = ""
        self._may_strike = may_strike
        self._events = ("call", "c_return") if sys.version_info >= (3, 12) else ("c_return",)

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event in self._events and self._may_strike(frame):
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {event}"
                raise KeyboardInterrupt
