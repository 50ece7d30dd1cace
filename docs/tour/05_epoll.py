"""epoll: one call that waits for many descriptors. What it takes, counted in system calls.

python3 docs/tour/05_epoll.py                    asyncio's loop
python3 -m miniloop docs/tour/05_epoll.py        this one
"""

from __future__ import annotations

import asyncio
import select
import selectors
import socket
from collections import Counter
from typing import Any

calls: Counter[str] = Counter()
KERNEL = {"poll": "epoll_wait"} | dict.fromkeys(("register", "modify", "unregister"), "epoll_ctl")


class CountedEpoll:
    """An epoll object whose every method is a system call, counted under the kernel's name."""

    def __init__(self, sizehint: int = -1) -> None:
        self._epoll = _epoll(sizehint)

    def __getattr__(self, name: str) -> Any:
        method, call = getattr(self._epoll, name), KERNEL.get(name, name)

        def counted(*arguments: Any) -> Any:
            calls[call] += 1
            return method(*arguments)

        return counted


class CountedSocket(socket.socket):
    def recv(self, *arguments: Any) -> bytes:
        calls["recv"] += 1
        return super().recv(*arguments)

    def send(self, *arguments: Any) -> int:
        calls["send"] += 1
        return super().send(*arguments)


# Both loops make their epoll object by one of these two names.
_epoll, select.epoll = select.epoll, CountedEpoll  # type: ignore[misc,assignment]
selectors.EpollSelector._selector_cls = CountedEpoll  # type: ignore[attr-defined]


async def bounce(sock: socket.socket, times: int, first: bool) -> None:
    loop = asyncio.get_running_loop()
    if first:
        await loop.sock_sendall(sock, b"ball")
    for _ in range(times):
        await loop.sock_recv(sock, 64)
        await loop.sock_sendall(sock, b"ball")


async def main() -> None:
    pair = socket.socketpair()
    left, right = (CountedSocket(fileno=sock.detach()) for sock in pair)
    for sock in left, right:
        sock.setblocking(False)
    calls.clear()
    await asyncio.gather(bounce(left, 500, True), bounce(right, 500, False))
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    print(f"1000 receives on {loop}:")
    for name in ("recv", "send", "epoll_ctl", "epoll_wait"):
        print(f"  {name:10} {calls[name] / 1000:.2f} for each")
    for sock in left, right:
        sock.close()


asyncio.run(main())
