"""Test asyncio programs for races and for time."""

from __future__ import annotations

from miniloop.testing.errors import NotDeterministic, OutsideWorld, TooLong, UnseenError
from miniloop.testing.running import run
from miniloop.testing.stuck import EverybodyWaits

__all__ = [
    "EverybodyWaits",
    "NotDeterministic",
    "OutsideWorld",
    "TooLong",
    "UnseenError",
    "run",
]
