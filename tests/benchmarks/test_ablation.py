"""The loops that lack a trick: each is a whole loop, and each really lacks it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import Any

import pytest

from benchmarks import ablation, catalogue, loops
from benchmarks.ablation import entries, pollers, rewrites, timers, wakeups
from miniloop.compiled.rewrites import IDEAS, LATE, REWRITES
from miniloop.kernel.poller import EDGE
from miniloop.kernel.task import Task
from tests.builds import pure_only

pytestmark = pure_only  # the tricks are taken out of the files of Python


@pytest.mark.parametrize("trick", ablation.TRICKS, ids=lambda trick: trick.name)
def test_loop_without_a_trick_still_works(trick: ablation.Trick) -> None:
    # In a process of its own, as in a run: some of them change a constant.
    program = f"""
import asyncio
from {trick.module} import {trick.factory} as new_event_loop

async def main():
    loop = asyncio.get_running_loop()
    async def echo(reader, writer):
        writer.write(await reader.readexactly(5))
        writer.close()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()
    assert await loop.run_in_executor(None, int, "3") == 3
    naps = (asyncio.sleep(0.001 * (number % 3), number) for number in range(9))
    assert await asyncio.gather(*naps) == list(range(9))
    assert (await loop.getaddrinfo("127.0.0.1", 80))[0][4] == ("127.0.0.1", 80)

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_tricks_and_rows_have_names_that_can_be_found() -> None:
    for trick in ablation.TRICKS:
        assert loops.find(f"without {trick.name}").factory == trick.factory
    assert len(catalogue.select(ablation.ROWS)) == len(ablation.ROWS)


def test_ideas_of_the_compiled_build_and_their_rows_have_names_that_can_be_found() -> None:
    in_table = {getattr(rewrite, "name", "") for rewrite in REWRITES}
    assert set(IDEAS) - {LATE} <= in_table
    assert len(catalogue.select(rewrites.ROWS)) == len(rewrites.ROWS)


def test_unlazy_poller_forgets_a_socket_after_each_wait() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            reading = asyncio.ensure_future(loop.sock_recv(near, 10))
            await asyncio.sleep(0)
            watch = loop.poller.watches[near.fileno()]  # type: ignore[attr-defined]
            assert not watch.mask & EDGE
            far.send(b"!")
            assert await reading == b"!"
            assert near.fileno() not in loop.poller.watches  # type: ignore[attr-defined]

    with asyncio.Runner(loop_factory=pollers.registering_each_wait) as runner:
        runner.run(main())


def test_heap_holds_objects() -> None:
    loop = timers.with_objects_in_the_heap()
    try:
        fired: list[int] = []
        now = loop.time()
        for number in (3, 1, 2):
            loop.call_at(now + number / 1000, fired.append, number)
        loop.call_at(now + 0.004, loop.stop)
        assert {type(entry).__name__ for entry in loop.timers.entries} == {"Entry"}
        loop.run_forever()
        assert fired == [1, 2, 3]
    finally:
        loop.close()


def test_ready_queue_holds_no_tasks() -> None:
    async def main() -> list[object]:
        other = asyncio.ensure_future(asyncio.sleep(0))
        loop = asyncio.get_running_loop()
        queued = [type(entry) for entry in loop._ready]  # type: ignore[attr-defined]
        await other
        return list(queued)

    with asyncio.Runner(loop_factory=entries.with_handles_for_steps) as runner:
        queued = runner.run(main())
    assert queued
    assert Task not in queued


def test_loops_with_asyncio_parts_really_make_them() -> None:
    async def task_type() -> type:
        return type(asyncio.current_task())

    async def future_type() -> type:
        return type(asyncio.get_running_loop().create_future())

    with asyncio.Runner(loop_factory=entries.with_asyncio_tasks) as runner:
        assert runner.run(task_type()) is asyncio.Task
    with asyncio.Runner(loop_factory=entries.with_asyncio_futures) as runner:
        assert runner.run(future_type()) is asyncio.Future


def test_waking_loop_writes_for_each_call() -> None:
    class Counting:
        """Stands before a wake-up, and counts."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner
            self.written = 0

        def wake(self) -> None:
            self.written += 1

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    loop = wakeups.waking_each_time()
    loop.wakeup = counting = Counting(loop.wakeup)  # type: ignore[assignment]
    try:
        for _ in range(3):
            loop.call_soon_threadsafe(int)
    finally:
        loop.close()
    assert counting.written == 3
