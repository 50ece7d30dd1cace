"""Simulated TCP against the kernel's: random calls on both, with the same outcome.

The kernel's loopback is as quick as a call, and so is the simulated one here: no time passes.
"""

from __future__ import annotations

import errno
import os
import random
import select
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from miniloop.testing.network import Network

# What poll(2) tells and asyncio looks at. (Urgent data is not simulated.)
SEEN = select.POLLIN | select.POLLOUT | select.POLLERR | select.POLLHUP | select.POLLRDHUP

Settle = Callable[[], object]


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]


def events_of(sock: Any) -> int:
    if hasattr(sock, "events"):
        return int(sock.events() & SEEN)
    poll = select.poll()
    poll.register(sock, SEEN)
    return dict(poll.poll(0)).get(sock.fileno(), 0) & SEEN


def pair(make: Callable[[], Any], settle: Settle, stack: ExitStack) -> list[Any]:
    listener, client = stack.enter_context(make()), stack.enter_context(make())
    for sock in (listener, client):
        sock.setblocking(False)
        # What the kernel keeps back by the Nagle algorithm, this test would take for lost.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    with pytest.raises(BlockingIOError):
        client.connect(listener.getsockname())
    settle()
    server, name = listener.accept()
    stack.enter_context(server)
    server.setblocking(False)
    assert name == client.getsockname()
    return [client, server]


def act(ends: list[Any], settle: Settle, choose: random.Random) -> list[Any]:
    """Some calls, and what each gave."""
    told: list[Any] = []
    for _ in range(choose.randint(3, 14)):
        which, size = choose.randrange(2), choose.choice((0, 1, 5, 1000))
        sock = ends[which]
        if sock.fileno() < 0:
            continue
        calls: dict[str, Callable[[], Any]] = {
            "send": lambda sock=sock, size=size: sock.send(b"x" * size),
            "recv": lambda sock=sock, size=size: sock.recv(size),
            "peek": lambda sock=sock: sock.recv(7, socket.MSG_PEEK),
            "finish": lambda sock=sock: sock.shutdown(socket.SHUT_WR),
            "deaf": lambda sock=sock: sock.shutdown(socket.SHUT_RD),
            "error": lambda sock=sock: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
            "peer": lambda sock=sock: bool(sock.getpeername()),
            "close": lambda sock=sock: sock.close(),
            "reset": lambda sock=sock: reset(sock),
        }
        name = choose.choices(list(calls), (6, 6, 1, 2, 0.3, 1, 1, 1, 1))[0]
        told.append((name, which, size, outcome(calls[name])))
        settle()
        told.append([events_of(end) if end.fileno() >= 0 else None for end in ends])
    return told


def reset(sock: Any) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def told_by_the_kernel(seed: int) -> list[Any]:
    with ExitStack() as stack:
        ends = pair(socket.socket, lambda: None, stack)
        return act(ends, lambda: None, random.Random(seed))


def told_by_the_simulation(seed: int) -> list[Any]:
    network = Network()

    def make() -> Any:
        return network.make_socket(socket.AF_INET, socket.SOCK_STREAM, 0)

    def settle() -> None:
        while network.next_event() == 0:
            network.advance(0.0)

    with ExitStack() as stack:
        ends = pair(make, settle, stack)
        return act(ends, settle, random.Random(seed))


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="Linux is what is simulated")
def test_both_do_the_same() -> None:
    for seed in range(1000):
        told = told_by_the_simulation(seed)
        # A busy machine lets its own loopback wait: then the kernel is asked again.
        assert any(told == told_by_the_kernel(seed) for _ in range(20)), f"seed {seed}"
