"""Habits of programs that no documentation promises and that work on asyncio all the same.

Each was met in a library's own test suite, which is named beside it.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

from tests.conftest import LoopFactory

Run = Callable[..., Any]


def test_a_reader_is_removed_after_its_socket_was_closed(run: Run) -> None:
    # anyio closes the socket first, and stops watching it when the waiting future is cancelled.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with right:
            left.setblocking(False)
            loop.add_reader(left, print)
            left.close()
            assert loop.remove_reader(left)

    run(main)


def test_a_task_and_a_future_carry_what_a_program_hangs_on_them(run: Run) -> None:
    # tornado's tests hang a reference on a task; programs hang names, spans and deadlines.
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(0))
        future = asyncio.get_running_loop().create_future()
        task.deadline = future.deadline = 5  # type: ignore[attr-defined]
        assert (task.deadline, future.deadline) == (5, 5)  # type: ignore[attr-defined]
        await task

    run(main)


def test_a_method_of_a_transport_can_be_replaced(run: Run) -> None:
    # uvicorn's and aiohttp's tests swallow what is written, to see what silence does.
    async def main() -> list[bytes]:
        swallowed: list[bytes] = []
        async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                writer.transport.write = swallowed.append  # type: ignore[method-assign]
                writer.write(b"nobody reads this")
            finally:
                writer.close()
                await writer.wait_closed()
        return swallowed

    assert run(main) == [b"nobody reads this"]


def test_the_clock_of_a_loop_can_be_replaced(run: Run) -> None:
    # aiohttp's tests move the time of day by patching `time`, to see a connection expire.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(500):  # a loop that has been busy for a while
            await asyncio.sleep(0)
        fired = asyncio.Event()
        loop.call_later(1800, fired.set)
        with mock.patch.object(loop, "time", return_value=loop.time()) as clock:
            assert loop.time is clock
            later = asyncio.Event()
            loop.call_later(3600, later.set)
            for event in (fired, later):
                clock.return_value += 1800
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                assert event.is_set()
            unripe = asyncio.Event()
            loop.call_later(3600, unripe.set)
        assert abs(loop.time() - time.monotonic()) < 60
        await asyncio.sleep(0.001)
        assert not unripe.is_set()

    run(main)


def test_a_subclass_of_a_loop_tells_its_own_time(loop_factory: LoopFactory) -> None:
    # Test suites subclass whatever loop they have, to be ahead of time.
    one = loop_factory()
    one.close()

    class Ahead(type(one)):  # type: ignore[misc]  # whatever it is
        def time(self) -> float:
            return float(super().time()) + 1e6

    with asyncio.Runner(loop_factory=Ahead) as runner:
        assert runner.get_loop().time() > time.monotonic() + 9e5
        assert runner.run(asyncio.sleep(0.001, "slept")) == "slept"


def test_a_timer_of_zero_seconds_fires_in_the_next_turn_after_a_long_step(run: Run) -> None:
    # uvicorn's tests give a peer zero seconds to close, and look one turn later.
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        for _ in range(500):  # a loop that has been busy for a while
            await asyncio.sleep(0)
        story: list[str] = []
        time.sleep(0.005)  # the long step
        loop.call_later(0, story.append, "timer")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        story.append("two turns later")
        return story

    assert run(main) == ["timer", "two turns later"]


def test_a_closed_loop_is_freed_without_the_collector(loop_factory: LoopFactory) -> None:
    # anyio's and tornado's tests insist: a program that makes loop after loop should not grow.
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(asyncio.sleep(0))
            remembered = weakref.ref(runner.get_loop())
        del runner
        assert remembered() is None
    finally:
        gc.enable()
