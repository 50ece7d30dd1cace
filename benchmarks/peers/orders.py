"""What the far end can be told to do.

An order is a function that opens what it needs onto the given stack, and returns the answer "ready"
together with the work itself, which is timed by the caller when the benchmark says "go".
"""

from __future__ import annotations

import socket
import struct
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.peers import exchange, web

__all__ = ["ORDERS", "Order", "Work", "close_all"]

Report = dict[str, Any]
Work = Callable[[], Report]
Order = Callable[..., tuple[Report, Work]]

MIB = 1024 * 1024
# Closes at once and without TIME_WAIT, so that thousands of connections leave no port behind.
AT_ONCE = struct.pack("ii", 1, 0)


def echo_client(
    stack: ExitStack,
    *,
    family: str,
    address: Any,
    size: int,
    connections: int,
    messages: int,
    idle: int = 0,
) -> tuple[Report, Work]:
    """Open `connections` and exchange `messages` of `size` bytes over them: one at a time on each.

    `messages` is the total and a multiple of `connections`. Before them, `idle` connections are
    opened that stay idle.
    """
    for _ in range(idle):
        stack.enter_context(exchange.connect(family, address))
    sockets = [stack.enter_context(exchange.connect(family, address)) for _ in range(connections)]
    request = (bytes(range(256)) * (size // 256 + 1))[:size]

    def work() -> Report:
        exchange.ping_pong(sockets, request, size, messages // connections)
        return {"messages": messages}

    return {}, work


def http_client(
    stack: ExitStack, *, address: Any, path: str, connections: int, messages: int
) -> tuple[Report, Work]:
    """GET `path` over `connections` that are kept alive, `messages` times in all.

    A first request on the first connection tells how long each response is going to be.
    """
    sockets = [stack.enter_context(exchange.connect("tcp", address)) for _ in range(connections)]
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    reply_size = len(web.ask(sockets[0], request))

    def work() -> Report:
        exchange.ping_pong(sockets, request, reply_size, messages // connections)
        return {"messages": messages}

    return {}, work


def visitor(_stack: ExitStack, *, address: Any, times: int) -> tuple[Report, Work]:
    """Connect, send a byte, have it back, wait for the server to close, and come again."""

    def work() -> Report:
        for _ in range(times):
            with exchange.connect("tcp", address) as sock:
                sock.sendall(b"?")
                if sock.recv(1) != b"?" or sock.recv(1) != b"":
                    raise ConnectionError("the server under test did not send one byte and close")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        return {"visits": times}

    return {}, work


def host(stack: ExitStack, *, times: int) -> tuple[Report, Work]:
    """Accept one connection after the other, and close each when its client has closed it."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
    listener.settimeout(exchange.PATIENCE)

    def work() -> Report:
        for _ in range(times):
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(exchange.PATIENCE)
                if sock.recv(1) != b"":
                    raise ConnectionError("a client under test sent what it was not asked for")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        return {"visits": times}

    return {"address": listener.getsockname()}, work


def sink(stack: ExitStack, *, address: Any, mebibytes: int) -> tuple[Report, Work]:
    """Ask for data with one byte, and read `mebibytes` of it."""
    sock = stack.enter_context(exchange.connect("tcp", address))
    buffer = memoryview(bytearray(MIB))

    def work() -> Report:
        sock.sendall(b"?")
        left = mebibytes * MIB
        while left:
            count = sock.recv_into(buffer)
            if count == 0:
                raise ConnectionError(f"the server under test closed {left} bytes too early")
            left -= count
        return {"mebibytes": mebibytes}

    return {}, work


def source(stack: ExitStack, *, address: Any, mebibytes: int) -> tuple[Report, Work]:
    """Send `mebibytes`, and wait for one byte that says they have arrived."""
    sock = stack.enter_context(exchange.connect("tcp", address))
    chunk = bytes(MIB)

    def work() -> Report:
        for _ in range(mebibytes):
            sock.sendall(chunk)
        if sock.recv(1) != b"!":
            raise ConnectionError("the server under test closed without a word")
        return {"mebibytes": mebibytes}

    return {}, work


def crowd(stack: ExitStack, *, address: Any, connections: int) -> tuple[Report, Work]:
    """Open `connections` and hold them, idle, for as long as the control connection lasts."""
    for _ in range(connections):
        stack.enter_context(exchange.connect("tcp", address))
    return {"connections": connections}, dict


def web_server(stack: ExitStack, *, times: int, size: int) -> tuple[Report, Work]:
    """Answer `times` HTTP requests with a page of `size` bytes."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))

    def work() -> Report:
        web.serve(listener, times, web.response(size), exchange.PATIENCE)
        return {"requests": times}

    return {"address": listener.getsockname()}, work


def site(_stack: ExitStack, *, pages: int) -> tuple[Report, Work]:
    """Have the demo site serve `pages` pages; the answer has its list of URLs, and how many links.

    Its process stays for whoever asks for as many pages the next time.
    """
    from crawler.demo.launch import running  # here, since the other orders do without a crawler
    from crawler.demo.site import Site

    if pages not in _sites:
        contents = Site(pages, plain=True)
        expected = contents.ordinary(_lasting.enter_context(running(contents)))
        urls = Path(_lasting.enter_context(tempfile.TemporaryDirectory()), "urls.txt")
        expected.write_list(urls)
        _sites[pages] = {"urls": str(urls), "links": len(expected.links)}
    return _sites[pages], dict


# What lasts as long as the far end does.
_lasting = ExitStack()
_sites: dict[int, Report] = {}


def close_all() -> None:
    """End the processes and remove the files that outlast their order."""
    _lasting.close()


ORDERS: dict[str, Order] = {
    order.__name__: order
    for order in (echo_client, http_client, visitor, host, sink, source, crowd, web_server, site)
}
