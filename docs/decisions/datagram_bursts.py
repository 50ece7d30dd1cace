"""What receiving a datagram costs, and what several at once save. See datagram-bursts.md."""

from __future__ import annotations

import asyncio
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import miniloop
from miniloop.net import datagram

ROUNDS = 9
BATCH = 50  # fewer than a socket's buffer has room for
BATCHES = 200
BURSTS = (1, 4, 16, 32)
WINDOWS = (1, 4, 16, 64)
MESSAGE = bytes(1024)


def main() -> None:
    """Print both tables."""
    print("microseconds for one call, the best of many")
    single_calls()
    print("\nmicroseconds of an echo server's processor time for each datagram, by longest burst")
    bursts()


def single_calls() -> None:
    """What the system calls cost by themselves."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        select.epoll() as epoll,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        sender.connect(receiver.getsockname())
        epoll.register(receiver.fileno(), select.EPOLLIN)
        buffer = memoryview(bytearray(64 * 1024))

        def receive_into() -> bytes:
            size, _ = receiver.recvfrom_into(buffer)
            return bytes(buffer[:size])

        def find_nothing() -> None:
            try:
                receiver.recvfrom(2048)
            except BlockingIOError:
                pass

        for kib in (2, 64, 128, 256):
            cost = best(partial(receiver.recvfrom, kib * 1024), sender)
            print(f"  recvfrom({kib} KiB)".ljust(28), f"{cost:6.2f}")
        print("  recvfrom_into, and a copy".ljust(28), f"{best(receive_into, sender):6.2f}")
        print("  recvfrom, nothing there".ljust(28), f"{best(find_nothing):6.2f}")
        print("  epoll.poll(0)".ljust(28), f"{best(lambda: epoll.poll(0)):6.2f}")


def best(call: Callable[[], object], sender: socket.socket | None = None) -> float:
    """Microseconds for one call; `sender` has a datagram ready for each."""
    results = []
    for _ in range(ROUNDS):
        spent = 0.0
        for _ in range(BATCHES):
            if sender is not None:
                for _ in range(BATCH):
                    sender.send(MESSAGE)
            started = time.perf_counter()
            for _ in range(BATCH):
                call()
            spent += time.perf_counter() - started
        results.append(spent / (BATCH * BATCHES))
    return min(results) * 1e6


def bursts() -> None:
    """One server for each length, side by side, so that noise hits all of them."""
    servers = {
        burst: subprocess.Popen([sys.executable, __file__, str(burst)], stdout=subprocess.PIPE)
        for burst in BURSTS
    }
    try:
        ports = {
            burst: int(server.stdout.readline())
            for burst, server in servers.items()
            if server.stdout is not None
        }
        print("  in flight".ljust(16), *(f"burst {burst}".rjust(10) for burst in BURSTS))
        for window in WINDOWS:
            costs: dict[int, list[float]] = {burst: [] for burst in BURSTS}
            for _ in range(ROUNDS):
                for burst in BURSTS:
                    costs[burst].append(exchange(ports[burst], window))
            medians = [statistics.median(costs[burst]) for burst in BURSTS]
            print(f"  {window}".ljust(16), *(f"{cost:10.2f}" for cost in medians))
    finally:
        for server in servers.values():
            server.kill()
            server.wait()


def exchange(port: int, window: int, count: int = 6400) -> float:
    """Processor time of the server for each of so many datagrams, `window` of them at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(5)

        def server_time() -> float:
            sock.send(b"time")
            return float(sock.recv(100))

        before = server_time()
        for _ in range(count // window):
            for _ in range(window):
                sock.send(MESSAGE)
            for _ in range(window):
                sock.recv(2048)
        return (server_time() - before) / count * 1e6


class Echo(asyncio.DatagramProtocol):
    """Sends everything back; to `time` it answers with the processor time of its process."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to answer over it."""
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer."""
        self.transport.sendto(b"%f" % time.process_time() if data == b"time" else data, addr)


async def serve() -> None:
    """Echo until the process is killed."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    print(transport.get_extra_info("sockname")[1], flush=True)
    await loop.create_future()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        datagram.LONGEST_BURST = int(sys.argv[1])
        miniloop.run(serve())
    else:
        main()
