"""Loops that are made, used and closed leave neither descriptors nor objects behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import tempfile
import threading
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import miniloop


async def threads() -> None:
    await asyncio.to_thread(int)


async def signals() -> None:
    called = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, called.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await called.wait()


async def processes() -> None:
    child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    assert await child.communicate(b"data") == (b"data", None)


async def processes_that_do_not_start() -> None:
    with pytest.raises(FileNotFoundError):
        await asyncio.create_subprocess_exec("no-such-program", stdin=PIPE, stdout=PIPE)


async def pipes() -> None:
    loop = asyncio.get_running_loop()
    reader, writer = os.pipe()
    stream = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, "rb", 0)
    )
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(writer, "wb", 0))
    transport.write(bytes(200_000))
    transport.close()
    assert len(await stream.read()) == 200_000


async def datagrams() -> None:
    loop = asyncio.get_running_loop()
    received = loop.create_future()

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            received.set_result(data)

    transport, _ = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
    transport.sendto(b"data", transport.get_extra_info("sockname"))
    assert await received == b"data"
    transport.close()
    await asyncio.sleep(0)


async def files() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as file:
        ours.setblocking(False)
        file.write(b"data")
        file.flush()
        assert await loop.sock_sendfile(ours, file) == 4
        assert theirs.recv(10) == b"data"


def census() -> tuple[list[str], int, int]:
    gc.collect()
    return sorted(os.listdir("/proc/self/fd")), threading.active_count(), len(gc.get_objects())


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="descriptors are counted in /proc")
@pytest.mark.parametrize(
    "use",
    [threads, signals, processes, processes_that_do_not_start, pipes, datagrams, files],
    ids=lambda use: use.__name__,
)
def test_a_loop_leaves_nothing_behind(use: Callable[[], Coroutine[Any, Any, None]]) -> None:
    for _ in range(5):  # what is made once and kept is made now
        miniloop.run(use())
    descriptors, running, objects = census()
    for _ in range(50):
        miniloop.run(use())
    descriptors_after, running_after, objects_after = census()
    assert descriptors_after == descriptors
    assert running_after == running
    # A leak of one object per loop would be fifty.
    assert objects_after - objects < 25
