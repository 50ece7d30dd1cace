"""After a send, `sock_recv` may try at once: it learns whether that is worth a system call."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from miniloop.kernel.poller import SelectorPoller
from miniloop.net.socket_watch import MOST_SKIPPED, SocketWatch

ROUNDS = 500


class CountingSocket(socket.socket):
    """A socket that counts the reads that found nothing."""

    futile = 0

    def recv(self, *args: Any) -> bytes:
        try:
            return super().recv(*args)
        except BlockingIOError:
            self.futile += 1
            raise


def tcp_pair() -> tuple[CountingSocket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = CountingSocket()
        near.connect(listener.getsockname())
        far, _ = listener.accept()
    for end in (near, far):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


@pytest.fixture
def drained() -> SocketWatch:
    watch = SocketWatch(0)
    watch.drained = True
    return watch


def test_wrong_guesses_grow_rare_and_a_right_one_begins_afresh(drained: SocketWatch) -> None:
    def sends_until_next_guess() -> int:
        count = 0
        while drained.drained:
            drained.guess_reply()
            count += 1
        return count

    pauses = []
    for _ in range(8):
        pauses.append(sends_until_next_guess())
        drained.drained = True
        drained.settle_guess(right=False)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 64]
    assert sends_until_next_guess() == MOST_SKIPPED + 1
    drained.drained = True
    drained.settle_guess(right=True)
    assert sends_until_next_guess() == 1


def test_server_seldom_reads_in_vain() -> None:
    served, client = tcp_pair()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def serve() -> None:
            while data := await loop.sock_recv(served, 100):
                await loop.sock_sendall(served, data)

        task = loop.create_task(serve())
        for _ in range(ROUNDS):
            await loop.sock_sendall(client, b"question")
            assert await loop.sock_recv(client, 100) == b"question"
        client.close()
        await task

    miniloop.run(main())
    served.close()
    # The first read, the guesses that grow rare, and then one in 64.
    assert served.futile <= 1 + 6 + ROUNDS // (MOST_SKIPPED + 1) + 1


@pytest.mark.parametrize("make_poller", [None, SelectorPoller], ids=["default", "selectors"])
def test_guess_never_loses_an_answer(make_poller: Callable[[], Any] | None) -> None:
    client, server = tcp_pair()
    loop = miniloop.EventLoop(poller=make_poller() if make_poller else None)

    async def main() -> None:
        async def serve() -> None:
            while data := await loop.sock_recv(server, 100):
                # Half of the answers come at once, the others a turn or more later.
                for _ in range(data[0] % 4):
                    await asyncio.sleep(0)
                await loop.sock_sendall(server, data)

        task = loop.create_task(serve())
        for number in range(ROUNDS):
            await loop.sock_sendall(client, bytes([number % 251]))
            assert await loop.sock_recv(client, 100) == bytes([number % 251])
        client.close()
        await task

    loop.run_until_complete(main())
    loop.close()
    server.close()
