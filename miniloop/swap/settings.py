"""What the user of `python -m miniloop` asked for, and how child processes learn of it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

__all__ = ["Settings", "in_force", "put_in_force"]

VARIABLE = "MINILOOP_SWAP"


@dataclass(frozen=True)
class Settings:
    """What the user asked for.

    `strict`: to ask for a loop that is not miniloop's is an error. `report` is the file in which
    each process notes the loops that it runs, if they are to be shown, and `main` the number of the
    process that shows them at its end.
    `deadlock`: a loop that would sleep for ever raises `EverybodyWaits`. `dump_signal` is the
    number of the signal on which a process says who waits for whom; 0 for none.
    """

    strict: bool = False
    report: str | None = None
    main: int = 0
    deadlock: bool = False
    dump_signal: int = 0


_in_force: Settings | None = None


def put_in_force(settings: Settings) -> None:
    """Make these hold for this process, and for those that inherit its environment."""
    global _in_force
    _in_force = settings
    os.environ[VARIABLE] = json.dumps(asdict(settings))


def in_force() -> Settings:
    """What holds for this process: in one that was started by another, what the other left it."""
    global _in_force
    if _in_force is None:
        try:
            _in_force = Settings(**json.loads(os.environ[VARIABLE]))
        except (KeyError, TypeError, ValueError):
            _in_force = Settings()
    return _in_force
