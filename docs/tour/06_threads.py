"""Threads: a loop that sleeps in the kernel does not see what another thread puts into its queue.

python3 docs/tour/06_threads.py
"""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

SLEEP = 0.5  # seconds that the loop would sleep


def tell(how: str, began: float) -> None:
    print(f"  {how} came after {time.monotonic() - began:.1f} s")


class Loop:
    def __init__(self) -> None:
        self.ready: deque[Callable[[], object]] = deque()
        self.reader, self.writer = socket.socketpair()  # the wake-up
        self.epoll = select.epoll()
        self.epoll.register(self.reader, select.EPOLLIN)

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.ready.append(callback)

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        self.ready.append(callback)  # first the call, then the byte: never a wake-up for nothing
        self.writer.send(b"\0")

    def run_turn(self) -> None:
        for _ in self.epoll.poll(0 if self.ready else SLEEP):
            self.reader.recv(4096)  # or it would be readable for ever
        for _ in range(len(self.ready)):
            self.ready.popleft()()


print("our loop:")
for name in "call_soon", "call_soon_threadsafe":
    loop, began = Loop(), time.monotonic()
    hand_over = getattr(loop, name)
    thread = threading.Timer(0.1, hand_over, [lambda n=name, b=began: tell(n, b)])
    thread.start()
    while thread.is_alive() or loop.ready:
        loop.run_turn()
    for descriptor in loop.epoll, loop.reader, loop.writer:
        descriptor.close()


async def main() -> None:
    real = asyncio.get_running_loop()
    for name in "call_soon", "call_soon_threadsafe":
        thread = threading.Timer(0.1, getattr(real, name), [tell, name, time.monotonic()])
        thread.start()
        await asyncio.sleep(SLEEP)
        thread.join()
    real.set_debug(True)  # now the loop looks who calls
    try:
        await asyncio.to_thread(real.call_soon, print)
    except RuntimeError as error:
        print("  debug mode:", error)


print("a real loop:")
asyncio.run(main())
