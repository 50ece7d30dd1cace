"""Loops come and go, and nothing stays: no descriptor, no thread, no memory."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import tracemalloc
from collections.abc import Callable

import pytest

import miniloop
from tests.net.addresses import open_descriptors


async def echo_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def talk_over_tcp() -> None:
    server = await asyncio.start_server(echo_once, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"
        writer.close()
        await writer.wait_closed()


async def talk_over_bare_sockets() -> None:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        receiving = loop.create_task(loop.sock_recv(left, 100))
        await asyncio.sleep(0)
        await loop.sock_sendall(right, b"hello")
        assert await receiving == b"hello"


async def set_timers() -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(3600, print)
    loop.call_later(3600, print).cancel()
    await asyncio.sleep(0.0001)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(3600)


async def use_threads() -> None:
    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()
    heard = asyncio.Event()
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(heard.set,))
    thread.start()
    await heard.wait()
    thread.join()


async def leave_things_behind() -> None:
    loop = asyncio.get_running_loop()
    loop.create_task(asyncio.sleep(3600))
    loop.call_soon(int)
    with pytest.raises(ZeroDivisionError):
        await asyncio.gather(asyncio.sleep(0), fail())


async def fail() -> None:
    raise ZeroDivisionError


WORK = [talk_over_tcp, talk_over_bare_sockets, set_timers, use_threads, leave_things_behind]


def resident_bytes() -> int:
    """How much memory of this process is in use, as the kernel counts it."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def rounds(number: int) -> None:
    for round_ in range(number):
        work = WORK[round_ % len(WORK)]
        miniloop.run(work())


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_a_loop_that_was_used_and_closed_leaves_no_descriptor_and_no_thread(
    work: Callable[[], object],
) -> None:
    miniloop.run(work())  # type: ignore[arg-type]
    descriptors, threads = open_descriptors(), threading.active_count()
    for _ in range(20):
        miniloop.run(work())  # type: ignore[arg-type]
    gc.collect()
    assert open_descriptors() == descriptors
    assert threading.active_count() == threads


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_a_loop_that_was_used_and_closed_leaves_no_memory(work: Callable[[], object]) -> None:
    for _ in range(20):
        miniloop.run(work())  # type: ignore[arg-type]
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(5):
            miniloop.run(work())  # type: ignore[arg-type]
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(60):
            miniloop.run(work())  # type: ignore[arg-type]
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A loop is some ten kilobytes: one that stayed would show at once.
    assert after - before < 60 * 200, f"{(after - before) / 60:.0f} bytes for each loop"


def test_a_loop_itself_is_collected() -> None:
    def count() -> int:
        gc.collect()
        return sum(type(thing) is miniloop.EventLoop for thing in gc.get_objects())

    before = count()
    rounds(2 * len(WORK))
    assert count() == before


def test_a_task_registered_with_asyncio_is_forgotten_with_its_loop() -> None:
    async def main() -> None:
        assert len(asyncio.all_tasks()) == 1

    for _ in range(10):
        loop = miniloop.new_event_loop()
        task = loop.create_task(main())
        loop.run_until_complete(task)
        loop.close()
        assert asyncio.all_tasks(loop) == set()


@pytest.mark.soak
def test_ten_thousand_loops_of_each_kind_leave_nothing() -> None:
    rounds(500)
    gc.collect()
    descriptors, threads, memory = open_descriptors(), threading.active_count(), resident_bytes()
    rounds(10_000 * len(WORK))
    gc.collect()
    assert open_descriptors() == descriptors
    assert threading.active_count() == threads
    grown = resident_bytes() - memory
    assert grown < 4 * 1024 * 1024, f"{grown / 1024:.0f} KiB more"
