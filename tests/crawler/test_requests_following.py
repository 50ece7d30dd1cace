"""Redirects of requests with methods and bodies, and what comes back."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crawler.http import (
    BadStatus,
    Client,
    ConnectionLost,
    InvalidURL,
    Limits,
    ReadTimeout,
    RedirectError,
    TooLarge,
    TotalTimeout,
)
from tests.crawler.echo_peer import Echo, exactly, pieces, read_body, send
from tests.crawler.scripted import Peer, html, polite, saying, serving
from tests.crawler.test_client import chunks

Run = Callable[..., Any]


# ---- redirects ---------------------------------------------------------------------------------


def sending_on(status: int, there: str) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        while head := peer.request():
            read_body(peer, head)
            if b" /here " in head:
                peer.reply(b"", f"Location: {there}", status=f"{status} Moved")
            else:
                peer.reply(head.split()[0])

    return script


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (302, "HEAD", "HEAD"),
    ],
)
def test_the_method_after_a_redirect(run: Run, status: int, method: str, then: str) -> None:
    with serving(sending_on(status, "/there")) as server:
        run(lambda: send(method, f"{server.url}/here", content=b"body"))
    second = server.requests[1]
    assert second.startswith(then.encode() + b" /there ")
    assert (b"Content-Length: 4" in second) == (method == then)


def test_a_body_that_can_be_read_once_is_not_sent_after_a_redirect(run: Run) -> None:
    with serving(sending_on(307, "/there")) as server:
        with pytest.raises(RedirectError, match="wants the body again"):
            run(lambda: send("POST", f"{server.url}/here", content=pieces()))
        assert run(lambda: send("POST", f"{server.url}/here", content=io.BytesIO(b"x"))).ok


def test_what_is_for_one_origin_is_not_carried_to_another(run: Run) -> None:
    with serving(polite) as there, serving(sending_on(302, f"{there.url}/x")) as here:
        run(
            lambda: send(
                "GET",
                f"{here.url}/here",
                headers={"Authorization": "Basic x", "X-Other": "y"},
                cookies={"session": "secret"},
            )
        )
        run(lambda: send("GET", f"{here.url}/here", auth=("user", "secret")))
    for head in here.requests:
        assert b"Authorization" in head
    assert b"Cookie: session=secret" in here.requests[0]
    for head in there.requests:
        assert b"Authorization" not in head
        assert b"Cookie" not in head
    assert b"X-Other: y" in there.requests[0]


def test_what_is_for_one_origin_is_carried_on_within_it(run: Run) -> None:
    with serving(sending_on(302, "/there")) as server:
        run(lambda: send("GET", f"{server.url}/here", auth=("u", "p"), cookies={"a": "b"}))
    assert [b"Authorization: Basic dTpw" in head for head in server.requests] == [True, True]
    assert [b"Cookie: a=b" in head for head in server.requests] == [True, True]


def test_a_redirect_can_be_left_alone(run: Run) -> None:
    with serving(sending_on(302, "/there")) as server:
        response = run(lambda: send("GET", f"{server.url}/here", follow_redirects=False))
    assert (response.status, response.is_redirect) == (302, True)
    assert len(server.requests) == 1


# ---- bodies in ---------------------------------------------------------------------------------


def test_a_response_has_its_text_its_json_and_its_verdict(run: Run) -> None:
    reply = html(b'{"a": "\xc3\xa4"}', "Content-Type: application/json")
    with serving(saying(reply)) as server:
        response = run(lambda: send("GET", server.url))
    assert response.json() == {"a": "ä"}
    assert response.ok
    response.raise_for_status()
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with serving(saying(missing)) as server:
        response = run(lambda: send("GET", server.url))
    with pytest.raises(BadStatus, match="404 Not Found"):
        response.raise_for_status()


def test_a_body_is_streamed_as_it_comes(run: Run) -> None:
    go_on = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        go_on.wait(10)
        peer.send(b"6\r\nsecond\r\n0\r\n\r\n")
        polite(peer)

    async def main(url: str) -> None:
        async with Client() as client:
            got = []
            async with client.stream("GET", url) as response:
                assert response.status == 200
                async for piece in response.pieces():
                    got.append(piece)
                    go_on.set()
                assert client.pool.idle_connections == 1  # given back with the last piece
            assert got == [b"first", b"second"]
            assert response.wire_bytes == 11
            assert (await client.get(url)).body == b"hello"

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 1


def test_a_stream_that_is_left_early_gives_its_place_back(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.send(bytes(100_000))

    async def main(url: str) -> None:
        async with Client(limits=Limits(per_origin=1)) as client:
            for _ in range(3):
                async with client.stream("GET", url) as response:
                    async for _piece in response.pieces():
                        break
                assert client.pool.open_connections == 0
            async with client.stream("GET", url):
                pass
            with pytest.raises(ZeroDivisionError):
                async with client.stream("GET", url) as response:
                    raise ZeroDivisionError
            assert client.pool.open_connections == 0

    with serving(script) as server:
        run(main, server.url)


def test_a_stream_of_any_length_takes_constant_memory_and_a_limit_ends_it(run: Run) -> None:
    import gzip

    packed = gzip.compress(bytes(60_000_000))

    def script(peer: Peer) -> None:
        while peer.request():
            peer.reply(packed, "Content-Encoding: gzip")

    async def main(url: str) -> None:
        async with Client(limits=Limits(body=1_000_000)) as client:
            total = 0
            async with client.stream("GET", url) as response:
                async for piece in response.pieces():
                    assert len(piece) < 4_000_000
                    total += len(piece)
            assert total == 60_000_000
            async with client.stream("GET", url, max_body=2_000_000) as response:
                with pytest.raises(TooLarge):
                    assert [piece async for piece in response.pieces()] == []
            async with client.stream("GET", url) as response:
                with pytest.raises(TooLarge):
                    await response.read()
            async with client.stream("GET", url) as response:
                raw = b"".join([piece async for piece in response.raw_pieces()])
                assert raw == packed
                with pytest.raises(RuntimeError, match="comes only once"):
                    await response.read()

    with serving(script) as server:
        run(main, server.url)


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_lines_are_streamed_however_they_are_split(run: Run, step: int) -> None:
    body = "eins\r\nzwei ä\n\nvier".encode()
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body, step)

    async def main(url: str) -> list[str]:
        async with Client() as client, client.stream("GET", url) as response:
            return [line async for line in response.lines()]

    with serving(saying(data)) as server:
        assert run(main, server.url) == ["eins", "zwei ä", "", "vier"]


def test_a_stream_follows_redirects_and_reads_text(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client, client.stream("GET", f"{url}/here") as response:
            assert response.url.href == f"{url}/there"
            assert await response.text() == "GET"

    with serving(sending_on(302, "/there")) as server:
        run(main, server.url)


def test_limits_hold_for_a_stream_and_not_for_its_reader(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        peer.until_gone()

    async def main(url: str) -> None:
        async with (
            Client(limits=Limits(read=0.6)) as client,
            client.stream("GET", url) as response,
        ):
            source = response.pieces()
            assert await anext(source) == b"hello"
            await asyncio.sleep(0.8)  # the reader takes its time, which is its own affair
            with pytest.raises(ReadTimeout):
                await anext(source)

    with serving(script) as server:
        run(main, server.url)


def test_a_timeout_can_be_given_for_one_request(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            started = time.monotonic()
            with pytest.raises((TotalTimeout, ReadTimeout)):
                await client.get(url, timeout=0.2)
            assert time.monotonic() - started < 5

    with serving(lambda peer: peer.until_gone()) as server:
        run(main, server.url)


def test_json_and_text_of_a_request_survive_a_stale_connection(run: Run) -> None:
    """A body that is bytes can be sent again; the method must allow it."""

    def script(peer: Peer) -> None:
        head = peer.request()
        read_body(peer, head)
        peer.reply()
        if peer.number == 1:
            read_body(peer, peer.request())
            return
        polite(peer)

    async def main(url: str) -> None:
        async with Client() as client:
            await client.put(url, json=1)
            assert (await client.put(url, json=2)).body == b"hello"
            with pytest.raises(InvalidURL):
                await client.put("nonsense", json=2)

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 2


def test_a_body_that_was_begun_is_not_sent_again(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reply()
        peer.request()
        exactly(peer, 3)

    async def main(url: str) -> None:
        async with Client() as client:
            await client.get(url)
            with pytest.raises(ConnectionLost):
                await client.put(url, content=pieces())

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 1


def test_a_sync_iterator_and_json_bytes_are_what_they_seem(run: Run) -> None:
    def each() -> Iterator[bytes]:
        yield b"[1,"
        yield b"2]"

    with serving(Echo()) as server:
        response = run(lambda: send("POST", server.url, content=each()))
    assert json.loads(response.body) == response.json() == [1, 2]
