"""The client against servers that fail: every class of the exception tree, with URL and cause."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import crawler.http
from crawler.http import (
    Client,
    ConnectError,
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    DecodingError,
    HTTPError,
    InvalidURL,
    Limits,
    ProtocolError,
    ReadTimeout,
    ResolveError,
    TooLarge,
    TotalTimeout,
)
from tests.crawler.scripted import Peer, html, polite, saying, serving

Run = Callable[..., Any]


def failure(run: Run, url: str, kind: type[HTTPError], **limits: Any) -> HTTPError:
    """The error of fetching ``url``, which must be of exactly this kind and leave nothing open."""

    async def main() -> HTTPError:
        async with Client(limits=Limits(**limits)) as client:
            with pytest.raises(kind) as caught:
                await client.get(url)
            assert type(caught.value) is kind
            assert client.pool.open_connections == 0
            return caught.value

    error: HTTPError = run(main)
    assert error.url.rstrip("/") == url.rstrip("/")
    assert str(error) == f"{error.url}: {error.reason}: {error.detail}"
    return error


def test_every_error_is_an_http_error_with_a_reason_to_count_it_by() -> None:
    kinds = [
        value
        for value in vars(crawler.http).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(kinds) == 22
    assert all(issubclass(kind, HTTPError) for kind in kinds)
    assert all(kind.reason and kind.__doc__ for kind in kinds)


def test_text_that_is_no_url(run: Run) -> None:
    assert isinstance(failure(run, "nonsense", InvalidURL).__cause__, ValueError)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid"])
def test_a_name_that_does_not_resolve(run: Run, host: str) -> None:
    error = failure(run, f"http://{host}/", ResolveError)
    assert host in error.detail
    assert isinstance(error.__cause__, OSError | UnicodeError)


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_port_where_nobody_listens(run: Run, unused_port: int) -> None:
    error = failure(run, f"http://127.0.0.1:{unused_port}/", ConnectionRefused)
    assert f"127.0.0.1 port {unused_port}: Connection refused" in error.detail
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_an_address_that_cannot_be_reached(run: Run) -> None:
    # A broadcast address takes no TCP: connect() itself refuses, with ENETUNREACH or EACCES.
    error = failure(run, "http://255.255.255.255/", ConnectError)
    assert isinstance(error.__cause__, OSError)


def test_a_server_that_closes_without_a_word(run: Run) -> None:
    with serving(lambda peer: None) as server:
        failure(run, server.url, ConnectionLost)


def test_a_server_that_resets(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(script) as server:
        assert isinstance(failure(run, server.url, ConnectionLost).__cause__, OSError)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1",
    ],
)
def test_a_reply_that_is_cut_off(run: Run, data: bytes) -> None:
    with serving(saying(data)) as server:
        error = failure(run, server.url, ConnectionLost)
    assert "closed by the server" in error.detail


@pytest.mark.parametrize(
    "data",
    [
        b"220 smtp.example.com ESMTP\r\n\r\n",
        b"HTTP/1.1 two-hundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\r\n\r\n",
        b"<html>this is HTTP/0.9</html>\r\n\r\n",
    ],
)
def test_a_reply_that_is_not_http(run: Run, data: bytes) -> None:
    with serving(saying(data)) as server:
        failure(run, server.url, ProtocolError)


@pytest.mark.parametrize(
    "data",
    [
        html(b"not compressed", "Content-Encoding: gzip"),
        html(gzip.compress(bytes(range(256)))[:-100], "Content-Encoding: gzip"),
        html(zlib.compress(bytes(range(256)))[:-100], "Content-Encoding: deflate"),
        html(b"whatever", "Content-Encoding: br"),
    ],
)
def test_a_body_that_is_not_coded_as_it_says(run: Run, data: bytes) -> None:
    with serving(saying(data)) as server:
        failure(run, server.url, DecodingError)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001,
        html(gzip.compress(b"x" * 1001), "Content-Encoding: gzip"),
        html(zlib.compress(b"x" * 1001), "Content-Encoding: deflate"),
        html(gzip.compress(b"x" * 501) * 2, "Content-Encoding: gzip"),
    ],
    ids=["declared", "until it ends", "chunked", "gzip", "deflate", "two gzips"],
)
def test_a_body_over_the_limit(run: Run, data: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(data)
        peer.until_gone()

    with serving(script) as server:
        failure(run, server.url, TooLarge, body=1000)


def test_a_body_of_just_the_limit_is_not_over_it(run: Run) -> None:
    async def main(url: str) -> int:
        async with Client(limits=Limits(body=1000)) as client:
            return len((await client.get(url)).body)

    for data in (html(b"x" * 1000), html(gzip.compress(b"x" * 1000), "Content-Encoding: gzip")):
        with serving(saying(data)) as server:
            assert run(main, server.url) == 1000


# ---- time limits -----------------------------------------------------------------------------

PREFIXES = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "a head": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_server_that_falls_silent_after(run: Run, prefix: str) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(PREFIXES[prefix])
        peer.until_gone()

    with serving(script) as server:
        start = time.monotonic()
        error = failure(run, server.url, ReadTimeout, read=0.1)
        assert 0.1 <= time.monotonic() - start < 10  # not the usual 20
        assert "silent for 0.1 seconds" in error.detail
        assert server.gone.wait(25)


def test_a_server_that_drips_is_not_silent_and_yet_too_slow(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            peer.send(b"x")
            time.sleep(0.01)

    with serving(script) as server:
        start = time.monotonic()
        # On a busy machine a drop may be late, by less than the limit for silence.
        failure(run, server.url, TotalTimeout, read=1.5, total=1.6)
        assert 1.6 <= time.monotonic() - start < 15


def test_the_total_limit_holds_over_redirects(run: Run) -> None:
    def script(peer: Peer) -> None:
        count = 0
        while peer.request():
            count += 1
            time.sleep(0.15)
            peer.reply(b"", f"Location: /{count}", status="302 Found")

    async def main(url: str) -> None:
        async with Client(limits=Limits(total=0.9, redirects=100)) as client:
            with pytest.raises(TotalTimeout):
                await client.get(f"{url}/start")

    with serving(script) as server:
        run(main, server.url)
        assert 2 <= len(server.requests) <= 8


def test_a_server_that_takes_no_connection(run: Run) -> None:
    # With a backlog that is full the kernel leaves further attempts unanswered.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            error = failure(run, f"http://127.0.0.1:{port}/", ConnectTimeout, connect=0.1)
            assert "no connection within 0.1 seconds" in error.detail
            failure(run, f"http://127.0.0.1:{port}/", TotalTimeout, total=0.1)
        finally:
            for filler in fillers:
                filler.close()


def test_a_server_that_never_answers_the_tls_handshake(run: Run) -> None:
    with serving(lambda peer: peer.until_gone()) as server:
        url = server.url.replace("http:", "https:")
        error = failure(run, url, ConnectTimeout, connect=0.1)
        assert error.detail.endswith("0.1 seconds: the TLS handshake did not end")
        assert server.gone.wait(25)


def test_a_connection_that_was_slow_once_can_be_slow_again(run: Run) -> None:
    # The deadline moves with each exchange; the timer of the one before must not strike.
    def script(peer: Peer) -> None:
        while peer.request():
            time.sleep(0.7)
            peer.reply()

    async def main(url: str) -> None:
        async with Client(limits=Limits(read=1.3)) as client:
            for _ in range(3):
                await client.get(url)
                await asyncio.sleep(0.02)

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 1


def test_an_idle_connection_is_not_struck_by_the_limit_of_its_last_read(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(limits=Limits(read=1)) as client:
            await client.get(url)
            await asyncio.sleep(1.1)
            await client.get(url)

    with serving(polite) as server:
        run(main, server.url)
    assert server.connections == 1


def test_waiting_for_a_place_in_the_pool_is_not_held_against_the_server(run: Run) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            time.sleep(0.1)
            peer.reply()

    async def main(url: str) -> None:
        limits = Limits(per_origin=1, total=0.9)
        async with Client(limits=limits) as client:
            await asyncio.gather(*(client.get(url) for _ in range(10)))

    with serving(script) as server:
        run(main, server.url)


# ---- several addresses -----------------------------------------------------------------------


class Directory:
    """Stands in for the resolver of a loop: a name has the addresses that the test gives it."""

    def __init__(self, addresses: list[tuple[str, int]]) -> None:
        self.addresses = addresses

    async def getaddrinfo(self, host: str, port: int, **options: Any) -> list[Any]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address, port in self.addresses
        ]


async def fetch_by_name(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> bytes:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", Directory(list(addresses)).getaddrinfo, raising=False)
    async with Client() as client:
        body = (await client.get("http://several.test/")).body
        assert client.pool.open_connections == 1
    for _ in range(3):
        await asyncio.sleep(0)
    return body


def test_an_address_that_refuses_is_followed_by_the_next(
    run: Run, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(polite) as server:
        nobody, somebody = ("127.0.0.1", unused_port), ("127.0.0.1", server.port)
        body = run(lambda: fetch_by_name(monkeypatch, nobody, nobody, somebody, nobody))
    assert body == b"hello"


def test_an_address_that_does_not_answer_is_not_waited_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        black_hole = ("127.0.0.1", full.getsockname()[1])
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(black_hole)
            with serving(polite) as server:
                start = time.monotonic()
                answer = run(
                    lambda: fetch_by_name(monkeypatch, black_hole, ("127.0.0.1", server.port))
                )
                assert answer == b"hello"
                assert 0.2 < time.monotonic() - start < 8  # and not ten, for both
        finally:
            for filler in fillers:
                filler.close()
        gc.collect()


def test_all_addresses_failing_names_each_kind_of_failure_once(
    run: Run, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = ("127.0.0.1", unused_port)
    with pytest.raises(ConnectionRefused, match=r"port 80: Connection refused$"):
        run(lambda: fetch_by_name(monkeypatch, nobody, nobody))
    with pytest.raises(ConnectError, match="Connection refused, ") as caught:
        run(lambda: fetch_by_name(monkeypatch, nobody, ("255.255.255.255", 9)))
    assert type(caught.value) is ConnectError
