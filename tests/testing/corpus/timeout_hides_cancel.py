"""A task is cancelled just after its timeout has struck, and only the timeout is seen.

The timeout cancels the task as well, and takes each CancelledError that comes for its own. The task
tries again, although somebody wanted it to end.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from tests.testing.corpus.world import MOMENT, settled

REPORT = "aio-libs-abandoned/async-timeout#229"
KIND = "cancellation swallowed"


class Timeout:
    """As timeouts were before tasks counted who cancels them."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.struck = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.timer = asyncio.get_running_loop().call_later(self.delay, self.strike, task)

    def strike(self, task: asyncio.Task[None]) -> None:
        self.struck = True
        task.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.timer.cancel()
        if kind is asyncio.CancelledError and self.struck:
            raise TimeoutError


async def scenario(timeout: type[Timeout] | type[asyncio.Timeout]) -> None:
    loop = asyncio.get_running_loop()

    def limit() -> Timeout | asyncio.Timeout:
        return asyncio.timeout(MOMENT) if timeout is asyncio.Timeout else Timeout(MOMENT)

    async def connect() -> None:
        for _ in range(3):
            try:
                async with limit():
                    await asyncio.sleep(100 * MOMENT)
            except TimeoutError:
                continue

    task = loop.create_task(connect(), name="connect")
    await asyncio.sleep(0.9 * MOMENT)
    task.cancel()
    await settled(task)
    assert task.cancelled()


async def buggy() -> None:
    await scenario(Timeout)


async def fixed() -> None:
    await scenario(asyncio.Timeout)
