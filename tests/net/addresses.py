"""Addresses of each kind that a name may stand for, and a resolver that gives them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

Address = tuple[str, int]


@contextlib.contextmanager
def answering() -> Iterator[Address]:
    """An address that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


@contextlib.contextmanager
def refusing() -> Iterator[Address]:
    """An address that refuses connections: somebody has it, but does not listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()


@contextlib.contextmanager
def silent() -> Iterator[Address]:
    """An address that never answers: its queue is full, and so the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()


def resolve_to(loop: asyncio.AbstractEventLoop, *addresses: Address) -> list[Any]:
    """Have every name of the loop stand for these. Gives a list of the names that are asked for."""
    asked: list[Any] = []

    async def getaddrinfo(host: Any, port: Any, **_: Any) -> list[Any]:
        asked.append(host)
        await asyncio.sleep(0)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
            for address in addresses
        ]

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]
    return asked


def open_descriptors() -> set[str]:
    """What /proc says this process has open, the directory itself left out."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(f"{number} -> {os.readlink(f'/proc/self/fd/{number}')}")
    return {entry for entry in found if not entry.endswith(f"/proc/{os.getpid()}/fd")}
