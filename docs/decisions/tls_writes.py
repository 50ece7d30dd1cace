"""What it costs to send at once what is written over TLS. See tls-writes.md."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import miniloop
from benchmarks.certificate import client_context, server_context

ROUNDS = 9
MESSAGES = 1000
HEAD, BODY = bytes(200), bytes(1000)
SMALL = [bytes(10)] * 20

# What is sent in one turn, and how.
WAYS: dict[str, tuple[int, Callable[[Any], object]]] = {
    "head and body: one `write`": (1200, lambda transport: transport.write(HEAD + BODY)),
    "head and body: `writelines`": (1200, lambda transport: transport.writelines([HEAD, BODY])),
    "head and body: two `write`": (1200, lambda transport: write_each(transport, [HEAD, BODY])),
    "20 times 10 bytes: `writelines`": (200, lambda transport: transport.writelines(SMALL)),
    "20 times 10 bytes: 20 `write`": (200, lambda transport: write_each(transport, SMALL)),
}


def main() -> None:
    """Print a table."""
    loops = {"miniloop": miniloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    print("microseconds of processor time for each message, both ends")
    print(f"{'':28}", *[f"{name:>9}" for name in loops])
    for label, (size, send) in WAYS.items():
        costs = []
        for factory in loops.values():
            with asyncio.Runner(loop_factory=factory) as runner:
                costs.append(runner.run(measure(size, send)))
        print(f"{label:32}", *[f"{cost:9.1f}" for cost in costs])


def write_each(transport: Any, pieces: list[bytes]) -> None:
    """Send them by themselves."""
    for piece in pieces:
        transport.write(piece)


class Receiver(asyncio.Protocol):
    """Waits for so many bytes."""

    def __init__(self) -> None:
        self.missing = 0
        self.complete: Any = None

    def data_received(self, data: bytes) -> None:
        """Count them."""
        self.missing -= len(data)
        if not self.missing:
            self.complete.set_result(None)


async def measure(size: int, send: Callable[[Any], object]) -> float:
    """Microseconds for each message of `size` bytes."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    (receiving, receiver), (sending, _) = await asyncio.gather(
        loop.connect_accepted_socket(Receiver, here, ssl=server_context()),
        loop.create_connection(
            asyncio.Protocol, sock=there, ssl=client_context(), server_hostname="localhost"
        ),
    )
    results = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(MESSAGES):
            receiver.missing = size
            receiver.complete = loop.create_future()
            send(sending)
            await receiver.complete
        results.append(time.process_time() - started)
    sending.abort()
    receiving.abort()
    await asyncio.sleep(0)  # for connection_lost
    return min(results) / MESSAGES * 1e6


if __name__ == "__main__":
    main()
