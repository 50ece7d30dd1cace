"""Long work in short steps, so that no page holds the loop; short work many pages at a time.

A generator that yields now and then is run for as long as the turn of the loop has room, and goes
on in a later turn. Room is counted in bytes and steps and not on a clock: that is cheaper, and the
same run takes the same turns each time.

Short pages that come in the same turn are read one after the other when all have come: what reads
them is then in the caches of the processor, which saves more than the wait costs.

All pages of a crawl share one `Turns`. It is what makes the promise one for the loop and not for
each page: a hundred pages that come at once get no more than one does.
"""

import asyncio
from collections import deque
from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")

# Steps, the bytes that they work on, and who waits for their value.
_Reading = tuple[Generator[None, None, Any], int, asyncio.Future[Any]]

# The bytes of short pages that are read before the loop has its turn; one page more may be begun.
# Markup that is made to be slow takes 250 ns a byte, pages as they are take 5.
BYTES_A_TURN = 96 * 1024
# A page up to this size is short.
SHORT = 32 * 1024
# Of a longer one, this many steps are made in a turn; each takes 2 ms at worst.
STEPS_A_TURN = 4


class Turns:
    """Shares the turns of one event loop among those who have much to do."""

    def __init__(self) -> None:
        self._short: deque[_Reading] = deque()
        self._queue = asyncio.Lock()  # first come, first served

    async def run(self, steps: Generator[None, None, T], size: int) -> T:
        """Run ``steps``, which work on ``size`` bytes, to their end and return their value."""
        if size <= SHORT and not self._queue.locked():
            loop = asyncio.get_running_loop()
            done: asyncio.Future[T] = loop.create_future()
            if not self._short:
                loop.call_soon(self._read_short)
            self._short.append((steps, size, done))
            return await done
        async with self._queue:
            while True:
                await asyncio.sleep(0)
                try:
                    for _ in range(STEPS_A_TURN):
                        next(steps)
                except StopIteration as end:
                    value: T = end.value
                    return value

    def _read_short(self) -> None:
        """Read the short pages that have come, as many as there is room for."""
        short, room = self._short, BYTES_A_TURN
        while short and room > 0:
            steps, size, done = short.popleft()
            room -= size
            if done.done():
                steps.close()  # nobody waits for it any more
                continue
            try:
                done.set_result(_finish(steps))
            except Exception as error:  # noqa: BLE001  (it is for whoever waits)
                done.set_exception(error)
        if short:
            asyncio.get_running_loop().call_soon(self._read_short)


def _finish(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
