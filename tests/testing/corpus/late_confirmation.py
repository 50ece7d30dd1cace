"""A confirmation arrives just after its timeout, for a future that is done already.

The callback that brings it fails with InvalidStateError, and what it would have done besides does
not happen.
"""

from __future__ import annotations

import asyncio

from tests.testing.corpus.world import MOMENT

REPORT = "mosquito/aio-pika#177"
KIND = "a timeout after success"


class Channel:
    """Cancels a consumer; the server confirms that after a moment."""

    def __init__(self) -> None:
        self.consuming = True

    async def cancel(self, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        confirmed = loop.create_future()
        timer = loop.call_later(timeout, self.timed_out, confirmed)
        self.reader = loop.create_task(self.read(confirmed), name="reader")
        try:
            await confirmed
        finally:
            timer.cancel()

    async def read(self, confirmed: asyncio.Future[None]) -> None:
        await asyncio.sleep(MOMENT)  # until the answer is there
        self.confirm(confirmed)

    def timed_out(self, confirmed: asyncio.Future[None]) -> None:
        if not confirmed.done():
            confirmed.set_exception(TimeoutError())

    def confirm(self, confirmed: asyncio.Future[None]) -> None:
        confirmed.set_result(None)
        self.consuming = False


class FixedChannel(Channel):
    def confirm(self, confirmed: asyncio.Future[None]) -> None:
        if not confirmed.done():
            confirmed.set_result(None)
        self.consuming = False


async def scenario(channel: Channel) -> None:
    try:
        await channel.cancel(1.2 * MOMENT)
    except TimeoutError:
        pass
    await channel.reader
    assert not channel.consuming


async def buggy() -> None:
    await scenario(Channel())


async def fixed() -> None:
    await scenario(FixedChannel())
