"""What a test run may end by, beside what the program itself raises."""

from __future__ import annotations

from typing import Any

__all__ = ["NotDeterministic", "OutsideWorld", "TooLong", "UnseenError"]


class OutsideWorld(RuntimeError):
    """A program in a closed world asked for a real socket, pipe, name or process."""


class TooLong(RuntimeError):
    """The program did not come to an end: the ceiling in virtual time, or in steps, was reached."""


class UnseenError(RuntimeError):
    """A task or a callback has failed, and nobody looked; the exception is the cause.

    `context` is what the loop's exception handler was given.
    """

    def __init__(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        super().__init__(f"{context['message']}: {type(error).__name__}: {error}")
        self.context = context


class NotDeterministic(AssertionError):
    """Two runs of one schedule differ: `difference` says where, and `likely` why, probably."""

    def __init__(self, difference: str, likely: str) -> None:
        super().__init__(f"{difference}\nLikely source: {likely}")
        self.difference = difference
        self.likely = likely
