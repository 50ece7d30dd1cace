"""Ends the process if one run takes too long.

Setting `faulthandler`'s timer starts a thread and ends one, which takes longer than many a run. So
it is set anew only once in a while, and a run that hangs has between three quarters of the limit
and all of it. (SIGALRM would be cheaper, but tests have it for themselves.)
"""

from __future__ import annotations

import faulthandler
import time

__all__ = ["Watchdog"]


class Watchdog:
    """Give it a pat before each run, and it keeps still for `limit` seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._set_at = 0.0
        self.set()

    def set(self) -> None:
        """All of the limit from now on."""
        self._set_at = time.monotonic()
        faulthandler.dump_traceback_later(self._limit, exit=True)

    def pat(self) -> None:
        """At least three quarters of the limit from now on."""
        if time.monotonic() - self._set_at > self._limit / 4:
            self.set()

    def cancel(self) -> None:
        """Nothing is timed any more."""
        faulthandler.cancel_dump_traceback_later()
