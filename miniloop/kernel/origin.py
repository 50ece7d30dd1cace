"""Where in the program something was made: what debug mode remembers, and its errors name.

Between the line of the program and the place that asks there are frames of ours. How many depends
on the path that was taken, so they are not counted: the program's frame is the first one, seen from
here, whose module does not belong to this package. asyncio's own modules count as the program's. A
task of a `TaskGroup` was made in `taskgroups.py`, as it is with asyncio's own loop.

A part of ours may also schedule something for itself, such as a transport that the loop calls. Then
the way to the program leads through the turn that the loop takes, and ends wherever the loop was
started, which explains nothing. So the search ends at the turn, and the part of ours is named.

Invariant: what is remembered is a summary (file, line, name), never a frame.

The trap: the search goes through frames by the names of their modules, so a function of ours that
is called `_run` ends it.
"""

from __future__ import annotations

import sys
import traceback
from types import FrameType

__all__ = ["STACK_DEPTH", "capture_stack", "entrance", "origin"]

# How many frames debug mode remembers for each object: enough to find the line, cheap to keep.
STACK_DEPTH = 10

_PACKAGE = __name__.partition(".")[0]
_OURS = _PACKAGE + "."
# The kernel and its face only pass on what others want made.
_MACHINERY = (_OURS + "kernel.", _OURS + "loop")


def entrance() -> tuple[FrameType, str]:
    """The frame that called into the loop, and the name of the method that it called."""
    frame = sys._getframe(1)
    method = ""
    part: tuple[FrameType, str] | None = None  # of ours, beside the machinery
    while True:
        module: str = frame.f_globals.get("__name__") or ""
        if not module.startswith(_OURS) and module != _PACKAGE:
            return frame, method
        if part is None and not module.startswith(_MACHINERY):
            part = frame, method
        outer = frame.f_back
        name = frame.f_code.co_name
        if outer is None or name == "_run":  # of a Handle or a Task
            return part or (frame, method)
        frame, method = outer, name


def origin() -> traceback.StackSummary:
    """The stack that leads to the line of the program that is calling us."""
    return capture_stack(entrance()[0])


def capture_stack(frame: FrameType) -> traceback.StackSummary:
    """The stack that leads to `frame`, outermost first, kept short.

    Source lines are not read until somebody prints it.
    """
    summary = traceback.StackSummary.extract(
        traceback.walk_stack(frame), limit=STACK_DEPTH, lookup_lines=False
    )
    summary.reverse()
    return summary
