"""Kept connections that turn out to be of no use, and replies whose body nobody wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from crawler.http import URL as Url
from crawler.http import BadStatus, Client, ConnectionLost, Limits, Reply, TotalTimeout
from tests.crawler.scripted import Peer, html, polite, serving
from tests.crawler.test_tls import client_context, server_context

Run = Callable[..., Any]

PATIENCE = 25.0  # seconds, less than the limit of a test

UNASKED = {
    "a reply": html(b"EVIL"),
    "a 408": b"HTTP/1.0 408 Request Time-out\r\nConnection: close\r\n\r\n<a href=EVIL>",
    "an empty line": b"\r\n",
    "the end": None,
    "a reset": b"",
}


def say_unasked(peer: Peer, data: bytes | None) -> None:
    if data is None:
        if isinstance(peer.sock, ssl.SSLSocket):
            peer.sock.settimeout(0.01)  # the farewell is sent, and the client's not waited for
            with contextlib.suppress(TimeoutError):
                peer.sock.unwrap()
            peer.sock.settimeout(None)
        else:
            peer.sock.shutdown(socket.SHUT_WR)
    elif data == b"":
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sock.close()
    else:
        peer.send(data)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("data", UNASKED.values(), ids=UNASKED.keys())
def test_an_idle_connection_is_not_used_again_after(
    run: Run, data: bytes | None, scheme: str, method: str
) -> None:
    heard, said = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        if peer.number > 1:
            return polite(peer)
        peer.request()
        peer.reply(b"first")
        assert heard.wait(PATIENCE)  # so that it does not come together with the reply
        say_unasked(peer, data)
        said.set()
        if peer.sock.fileno() != -1:
            peer.until_gone()

    async def main(url: str) -> None:
        async with Client(tls=client_context()) as client:
            assert (await client.get(url)).body == b"first"
            assert client.pool.idle_connections == 1
            heard.set()
            assert await asyncio.to_thread(said.wait, PATIENCE)
            await asyncio.sleep(0.05)  # for the bytes to come through the loopback
            for _ in range(2):
                assert (await client.request(method, url)).body == b"hello"

    with serving(script, server_context() if scheme == "https" else None) as server:
        run(main, server.url)
    assert server.connections == 2
    assert len(server.requests) == 3


def test_tickets_that_come_while_a_tls_connection_is_idle_do_no_harm(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(tls=client_context()) as client:
            for _ in range(5):
                await client.get(url)
                await asyncio.sleep(0.02)

    with serving(polite, server_context()) as server:
        run(main, server.url)
    assert server.connections == 1


ANSWERS = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head without its end": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
    "an interim reply": b"HTTP/1.1 102 Processing\r\n\r\n",
    "a 408": b"HTTP/1.1 408 Request Time-out\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
}


def second_request_gets(data: bytes, reset: bool = False) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        if peer.number > 1:
            return polite(peer)
        peer.request()
        peer.reply()
        peer.request()
        peer.send(data)
        if reset:
            time.sleep(0.05)
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("data", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_request_is_sent_again_if_a_kept_connection_answers_it_with(
    run: Run, data: bytes, reset: bool
) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            for _ in range(2):
                assert (await client.get(url)).body == b"hello"

    with serving(second_request_gets(data, reset)) as server:
        run(main, server.url)
    assert (server.connections, len(server.requests)) == (2, 3)


def test_a_request_that_may_have_had_an_effect_is_not_sent_again(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            await client.get(url)
            with pytest.raises(ConnectionLost):
                await client.post(url, content=b"once")
            assert client.pool.open_connections == 0

    with serving(second_request_gets(b"")) as server:
        run(main, server.url)
    assert (server.connections, len(server.requests)) == (1, 2)


def test_a_408_on_a_fresh_connection_is_a_reply_like_others(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(b"late", status="408 Request Timeout")

    async def main(url: str) -> int:
        async with Client() as client:
            return (await client.get(url)).status

    with serving(script) as server:
        assert run(main, server.url) == 408


# ---- bodies that nobody wants ------------------------------------------------------------------

UNWANTED = {
    "a length that lies, and the end": (b"Content-Length: 500\r\n\r\nshort", True),
    "a length that lies, and silence": (b"Content-Length: 500\r\n\r\nshort", False),
    "chunks that end too soon": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", True),
    "chunks that are none": (b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", False),
    "no length, and kept open": (b"\r\nshort", False),
    "a coding that it has not": (
        b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
        False,
    ),
    "a coding that nobody knows": (b"Content-Encoding: rot13\r\nContent-Length: 0\r\n\r\n", False),
    "more than the limit": (b"Content-Length: 99999999999\r\n\r\n", False),
}


def unwanted(status: str, rest: bytes, close: bool) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        if b"GET /there" in peer.request():
            peer.reply(b"there")
            return
        peer.send(f"HTTP/1.1 {status}\r\nLocation: /there\r\n".encode() + rest)
        if not close and b"GET /there" in peer.request():
            peer.reply(b"there")

    return script


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("rest", "close"), UNWANTED.values(), ids=UNWANTED.keys())
def test_a_redirect_is_followed_whose_body_has(
    run: Run, rest: bytes, close: bool, scheme: str
) -> None:
    async def main(url: str) -> None:
        async with Client(tls=client_context(), limits=Limits(read=10)) as client:
            started = time.monotonic()
            assert (await client.get(url)).body == b"there"
            assert time.monotonic() - started < 5
            assert client.pool.open_connections == client.pool.idle_connections

    tls = server_context() if scheme == "https" else None
    with serving(unwanted("302 Found", rest, close), tls) as server:
        run(main, server.url)


@pytest.mark.parametrize(("rest", "close"), UNWANTED.values(), ids=UNWANTED.keys())
def test_a_refusal_stands_whatever_is_wrong_with_a_body_of(
    run: Run, rest: bytes, close: bool
) -> None:
    def inspect(url: Url, reply: Reply) -> None:
        raise BadStatus(url.href, reply.status, reply.phrase)

    async def main(url: str) -> None:
        async with Client() as client:
            started = time.monotonic()
            with pytest.raises(BadStatus, match="404 Not Found"):
                await client.get(url, inspect=inspect)
            assert time.monotonic() - started < 5

    with serving(unwanted("404 Not Found", rest, close)) as server:
        run(main, server.url)


def test_what_is_left_of_the_total_time_bounds_the_wait_for_a_body_too(run: Run) -> None:
    """And the verdict is still the redirect's: its goal then has no time left."""

    async def main(url: str) -> None:
        async with Client(limits=Limits(total=0.3)) as client:
            started = time.monotonic()
            with pytest.raises(TotalTimeout):
                await client.get(url)
            assert time.monotonic() - started < 5

    rest, close = UNWANTED["a length that lies, and silence"]
    with serving(unwanted("302 Found", rest, close)) as server:
        run(main, server.url)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_length_does_not_matter_where_there_is_no_body(run: Run, status: str) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(f"HTTP/1.1 {status}\r\nContent-Length: 99999999999\r\n\r\n".encode())

    async def main(url: str) -> None:
        async with Client() as client:
            for _ in range(2):
                response = await client.get(url)
                assert (response.status, response.body) == (int(status[:3]), b"")
                assert response.flags == (("no content",) if status.startswith("204") else ())

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 1


def test_part_of_a_page_is_flagged(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply(b"half", "Content-Range: bytes 0-3/8", status="206 Partial Content")

    async def main(url: str) -> tuple[str, ...]:
        async with Client() as client:
            return (await client.get(url)).flags

    with serving(script) as server:
        assert run(main, server.url) == ("partial content",)


def test_the_dot_that_ends_a_name_is_not_for_tls(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str | None] = []
    context = server_context()
    context.sni_callback = lambda _sock, name, _context: names.append(name)

    async def main(url: str) -> bytes:
        loop = asyncio.get_running_loop()
        asked = loop.getaddrinfo

        async def getaddrinfo(host: str, port: int, **options: Any) -> Any:
            assert host == "localhost."
            return await asked("127.0.0.1", port, **options)

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo, raising=False)
        async with Client(tls=client_context()) as client:
            return (await client.get(url)).body

    with serving(polite, context) as server:
        assert run(main, server.url.replace("localhost", "localhost.")) == b"hello"
    assert names == ["localhost"]
    assert f"\r\nHost: localhost.:{server.port}\r\n".encode() in server.requests[0]


@pytest.mark.parametrize(("method", "connections"), [("POST", 2), ("GET", 1)])
def test_what_cannot_be_repeated_is_not_sent_when_the_server_may_be_closing(
    run: Run, method: str, connections: int
) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.reply(b"hello", "Keep-Alive: max=9, timeout=5")

    async def main(url: str) -> None:
        async with Client() as client:
            await client.request(method, url)
            await client.request(method, url)  # it is early yet
            (idle,) = client.pool._idle
            idle.idle_since -= 4.5
            await client.request(method, url)

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == connections
