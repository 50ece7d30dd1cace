"""The `socket` module while a simulated network runs: libraries that make sockets get ours.

The loop asks its network for sockets; but some libraries make their own (`socket.socket(...)`), and
give them to the loop. So while a run lasts the class is replaced by one which, called in the thread
of the loop for an internet socket, gives a simulated one. Everything else is passed on: sockets of
other threads, Unix sockets, socket pairs, sockets made of a descriptor.

`isinstance` and subclassing know no difference. What was imported before (`from socket import
socket`) is not replaced, and the joint of the loop does not depend on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["simulated_sockets"]

_INTERNET = (-1, socket.AF_INET, socket.AF_INET6)


@contextlib.contextmanager
def simulated_sockets(
    loop: object,
    make: Callable[[int, int, int], socket.socket],
    find: Callable[..., list[Any]],
    name: Callable[[], str],
) -> Iterator[None]:
    """Have `socket.socket`, `getaddrinfo` and `gethostname` answered by these, in that loop."""
    original: Any = socket.socket
    system_getaddrinfo, system_gethostname = socket.getaddrinfo, socket.gethostname

    def is_ours() -> bool:
        return asyncio._get_running_loop() is loop

    class Switch(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if cls is not replacement:
                return super().__call__(*args, **kwargs)
            return create(*args, **kwargs)

        def __instancecheck__(cls, instance: object) -> bool:
            if cls is replacement:
                return isinstance(instance, original)
            return super().__instancecheck__(instance)

        def __subclasscheck__(cls, subclass: type) -> bool:
            if cls is replacement:
                return issubclass(subclass, original)
            return super().__subclasscheck__(subclass)

    def create(family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> Any:
        if fileno is not None or family not in _INTERNET or not is_ours():
            return original(family, type, proto, fileno)
        return make(
            socket.AF_INET if family == -1 else family,
            socket.SOCK_STREAM if type == -1 else type,
            0 if proto == -1 else proto,
        )

    replacement: Any = Switch("socket", (original,), {"__slots__": ()})

    def getaddrinfo(
        host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        if not is_ours():
            return system_getaddrinfo(host, port, family, type, proto, flags)
        return find(host, port, family=family, kind=type, proto=proto, flags=flags)

    def gethostname() -> str:
        return name() if is_ours() else system_gethostname()

    socket.socket = replacement  # type: ignore[misc]  # for as long as the run lasts
    socket.getaddrinfo = getaddrinfo
    socket.gethostname = gethostname
    try:
        yield
    finally:
        socket.socket = original  # type: ignore[misc]
        socket.getaddrinfo = system_getaddrinfo
        socket.gethostname = system_gethostname
