"""Cancelling: a request, raised at an `await`, which is counted so that one can tell whose it was.

python3 docs/tour/07_cancel.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def tidy() -> None:
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        await asyncio.sleep(0)  # there is time to tidy up, and one may wait for that
        print("  asked to end, tidied up")
        raise  # or the task would go on, as if nobody had asked


async def hasty_timeout(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    """A timeout with two faults."""
    task = asyncio.current_task()
    assert task is not None
    timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise TimeoutError from None  # is it ours? And nobody takes our own request back
    finally:
        timer.cancel()


async def right_timeout(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    async with asyncio.timeout(seconds):
        return await work


async def customer(timeout: Any, patience: float) -> str:
    task = asyncio.current_task()
    assert task is not None
    try:
        await timeout(patience, asyncio.sleep(10))
    except TimeoutError:
        return f"TimeoutError, and {task.cancelling()} request(s) to cancel left"
    return "in time"


async def main() -> None:
    task = asyncio.create_task(tidy())
    await asyncio.sleep(0)
    print("cancel() says", task.cancel(), "- is it done?", task.done())
    await asyncio.wait([task])
    print("one turn or more later:", "cancelled" if task.cancelled() else "not cancelled")

    for timeout in hasty_timeout, right_timeout:
        print(f"{timeout.__name__}:")
        print("  time is up:", await asyncio.create_task(customer(timeout, 0.01)))
        other = asyncio.create_task(customer(timeout, 10))
        await asyncio.sleep(0)
        other.cancel()  # somebody else wants it to end, long before the time is up
        await asyncio.wait([other])
        print("  cancelled by others:", "ends" if other.cancelled() else other.result())


asyncio.run(main())
