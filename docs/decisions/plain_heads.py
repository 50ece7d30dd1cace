"""What the page plain-heads.md is based on.

    python docs/decisions/plain_heads.py [ROUNDS]

The processor time of one kept-alive GET of `crawler.http`, as it is, and with every head left to
h11: in turn, in one process, against a server in another.
"""

from __future__ import annotations

import socket
import statistics
import sys
import time
from multiprocessing import get_context

import crawler.http.connection as connection
import miniloop
from crawler.http import Client

BODY = b"<html><body>" + b"<a href='/x'>x</a>" * 50 + b"</body></html>"
REPLY = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.26.3\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\n"
    b"Content-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n"
    b'Connection: keep-alive\r\nETag: "67b0-1"\r\nAccept-Ranges: bytes\r\n\r\n' % len(BODY)
) + BODY
ROUNDS = 15
REQUESTS = 1000


def serve(listening: socket.socket) -> None:
    """Answer whatever comes on each connection, one after the other."""
    while True:
        accepted, _ = listening.accept()
        with accepted:
            while accepted.recv(65536):
                accepted.sendall(REPLY)


async def fetch(url: str) -> float:
    """Microseconds of processor time that one request takes."""
    async with Client() as client:
        await client.get(url)
        started = time.process_time()
        for _ in range(REQUESTS):
            await client.get(url)
        return (time.process_time() - started) / REQUESTS * 1e6


def main() -> None:
    """Print the medians and the ratio of both ways."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = get_context("fork").Process(target=serve, args=(listening,), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        plain, leave = connection.read_plain, lambda data: None
        taken: dict[str, list[float]] = {"at one look": [], "all by h11": []}
        for n in range(rounds):
            ways = [("at one look", plain), ("all by h11", leave)]
            for name, read in ways if n % 2 else reversed(ways):
                connection.read_plain = read
                taken[name].append(miniloop.run(fetch(url)))
        server.terminate()
        server.join()
    for name, values in taken.items():
        print(f"{name:12} {statistics.median(values):6.1f} µs a request")
    ratios = [a / b for a, b in zip(*taken.values(), strict=True)]
    print(f"ratio        {statistics.median(ratios):6.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    main()
