"""Long work in short steps, so that no page holds the loop.

A generator that yields now and then is run for as long as the turn of the loop has room, and goes
on in a later turn. Room is counted in bytes and steps and not on a clock: that is cheaper, and the
same run takes the same turns each time.

All pages of a crawl share one `Turns`. It is what makes the promise one for the loop and not for
each page: a hundred pages that come at once get no more than one does.
"""

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

# The bytes of short pages that may be read before the loop has its turn. Markup that is made to be
# slow takes 250 ns a byte, pages as they are take 5.
BYTES_A_TURN = 128 * 1024
# A page up to this size is read at once, if there is room.
SHORT = 32 * 1024
# Of a longer one, this many steps are made in a turn; each takes 2 ms at worst.
STEPS_A_TURN = 4


class Turns:
    """Shares the turns of one event loop among those who have much to do."""

    def __init__(self) -> None:
        self._used = 0
        self._queue = asyncio.Lock()  # first come, first served

    async def run(self, steps: Generator[None, None, T], size: int) -> T:
        """Run ``steps``, which work on ``size`` bytes, to their end and return their value."""
        if size <= SHORT and not self._queue.locked():
            self._used += size
            if self._used <= BYTES_A_TURN:
                return _finish(steps)
        async with self._queue:
            while True:
                await asyncio.sleep(0)
                self._used = 0
                try:
                    for _ in range(STEPS_A_TURN):
                        next(steps)
                except StopIteration as end:
                    value: T = end.value
                    return value


def _finish(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
