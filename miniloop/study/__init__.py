"""See the loop at work: record it and ask why, or see who waits for whom, live.

`recording(path)` records a loop within a program, `python -m miniloop --record FILE` a whole
program; `read(path)` reads what was recorded, and `python -m miniloop.study` shows it.
`dump_waits()` prints every task, what it waits for, and who holds that.
"""

from __future__ import annotations

from miniloop.study.deadlock import deadlock_detecting_loop, detect_deadlock
from miniloop.study.reading import Recording, read
from miniloop.study.session import recording
from miniloop.study.waits import EverybodyWaits, Waits, dump_waits, waits_of

__all__ = [
    "EverybodyWaits",
    "Recording",
    "Waits",
    "deadlock_detecting_loop",
    "detect_deadlock",
    "dump_waits",
    "read",
    "recording",
    "waits_of",
]
