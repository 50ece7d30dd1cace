"""See the loop at work: who waits for whom, live.

`dump_waits()` prints every task, what it waits for, and who holds that.
"""

from __future__ import annotations

from miniloop.study.deadlock import deadlock_detecting_loop, detect_deadlock
from miniloop.study.waits import EverybodyWaits, Waits, dump_waits, waits_of

__all__ = [
    "EverybodyWaits",
    "Waits",
    "deadlock_detecting_loop",
    "detect_deadlock",
    "dump_waits",
    "waits_of",
]
