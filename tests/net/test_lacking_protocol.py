"""What is made instead of a protocol: nothing at all, or one that lacks a method."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.net.connected import unix_pair

Run = Callable[..., Any]
Make = Callable[[Any, Any], Coroutine[Any, Any, tuple[Any, Any]]]

# What asyncio leaves open then.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed", "ignore:.*unclosed")


class Connected:
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pass


async def stream(factory: Any, sock: Any) -> tuple[Any, Any]:
    return await asyncio.get_running_loop().connect_accepted_socket(factory, sock)


async def read_pipe(factory: Any, sock: Any) -> tuple[Any, Any]:
    file = os.fdopen(sock.detach(), "rb", buffering=0)
    return await asyncio.get_running_loop().connect_read_pipe(factory, file)


async def write_pipe(factory: Any, sock: Any) -> tuple[Any, Any]:
    file = os.fdopen(sock.detach(), "wb", buffering=0)
    return await asyncio.get_running_loop().connect_write_pipe(factory, file)


@pytest.mark.parametrize("make", [stream, read_pipe, write_pipe])
def test_a_factory_that_returns_nothing_is_an_error(run: Run, make: Make) -> None:
    async def main() -> None:
        ours, peer = unix_pair()
        with peer, pytest.raises(AttributeError, match="connection_made"):
            await make(lambda: None, ours)

    run(main)


@pytest.mark.parametrize("make", [stream, read_pipe, write_pipe])
def test_a_transport_is_closed_though_the_protocol_cannot_be_told(run: Run, make: Make) -> None:
    async def main() -> None:
        ours, peer = unix_pair()
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context["exception"])
        )
        with peer:
            transport, _ = await make(Connected, ours)
            file = transport.get_extra_info("pipe") or transport.get_extra_info("socket")
            transport.close()
            while not reported:
                await asyncio.sleep(0)
        closed = file.closed if hasattr(file, "closed") else file.fileno() == -1
        assert closed
        assert [type(exception) for exception in reported] == [AttributeError]

    run(main)


def test_the_end_of_a_pipe_that_cannot_be_told_is_reported_once(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = unix_pair()
        reported: list[Any] = []
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        transport, _ = await read_pipe(Connected, ours)
        peer.close()
        while not reported:
            await asyncio.sleep(0)
        left, right = unix_pair()
        with left, right:
            left.send(b"x")
            for _ in range(2):  # the loop has asked for events again
                readable = loop.create_future()
                loop.add_reader(right, readable.set_result, None)
                await readable
                loop.remove_reader(right)
        transport.close()
        await asyncio.sleep(0)
        assert "eof_received" in str(reported[0])
        assert not [error for error in reported[1:] if "eof_received" in str(error)]

    run(main)
