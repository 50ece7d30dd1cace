"""The clock of one connection: a deadline that each step moves.

A timer per read would be made and cancelled several times a page. Instead there is a number that
each step moves, and one timer that looks at it: if the deadline has moved on, the timer is set
again, which is once per read limit at most; if it has passed, the stream is aborted, and the
pending read or write then ends by itself.

A peer that is faster than we are never lets us wait: each read has its bytes at once, so that a
body without an end would hold the loop, and the timer with it. So whoever moves bytes without an
end gives way now and then, and a step that begins after the end of all has begun too late.
"""

import asyncio
from collections.abc import Callable

from .errors import HTTPError, ReadTimeout, TotalTimeout, WriteTimeout
from .url import URL

# How long what never has to wait holds the loop at a time, in seconds.
HOLD = 0.005


class Deadline:
    """When the step that is under way must be done; ``abort`` is called if it is not.

    ``busy`` says that a step is under way, ``total`` when all of them must be done, on the loop's
    clock; ``expired`` that the deadline has passed. The limits are in seconds, for a read and for a
    write.
    """

    __slots__ = (
        "_abort",
        "_at",
        "_loop",
        "_rings_at",
        "_timer",
        "_turned",
        "busy",
        "expired",
        "read_limit",
        "total",
        "write_limit",
    )

    def __init__(self, abort: Callable[[], None], read_limit: float, write_limit: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._abort = abort
        self._timer: asyncio.TimerHandle | None = None
        self._at = self._rings_at = self._turned = 0.0
        self.read_limit = read_limit
        self.write_limit = write_limit
        self.total = 0.0
        self.busy = self.expired = False

    def move(self, limit: float) -> None:
        """Give the next step ``limit`` seconds, or what is left of all."""
        now = self._loop.time()
        at = now + limit
        if at > self.total:
            at = self.total
            if now >= at and self.busy:
                self._at = at
                self._expire()
                return
        self._at = at
        if self._timer is None:
            self._set_timer(at)
        elif at < self._rings_at:
            self._timer.cancel()
            self._set_timer(at)

    def shorten(self, seconds: float) -> None:
        """Leave no more than ``seconds`` for all."""
        self.total = min(self.total, self._loop.time() + seconds)

    def turned(self) -> None:
        """Note that the loop has just had a turn."""
        self._turned = self._loop.time()

    async def give_way(self) -> None:
        """Let the loop have a turn if it is :data:`HOLD` since it had one here."""
        now = self._loop.time()
        if now - self._turned >= HOLD:
            self._turned = now
            await asyncio.sleep(0)

    def cancel(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def error(self, url: URL, *, writing: bool) -> HTTPError:
        """Which limit it was that passed."""
        if self._at >= self.total:
            text = "the page was not complete within the total time limit"
            return TotalTimeout(url.href, text)
        if writing:
            text = f"the server took no byte of the request for {self.write_limit:g} seconds"
            return WriteTimeout(url.href, text)
        return ReadTimeout(url.href, f"the server was silent for {self.read_limit:g} seconds")

    def _set_timer(self, at: float) -> None:
        # Noted here, as uvloop's handle of a time that has passed does not know it.
        self._rings_at = at
        self._timer = self._loop.call_at(at, self._check)

    def _check(self) -> None:
        self._timer = None
        if not self.busy:
            return
        if self._loop.time() < self._at:
            self._set_timer(self._at)
        else:
            self._expire()

    def _expire(self) -> None:
        self.expired = True
        self._abort()
