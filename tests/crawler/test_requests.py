"""Requests of every kind: what goes out, what comes back, and what is never sent twice."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.http import (
    Client,
    Limits,
    WriteTimeout,
)
from tests.crawler.echo_peer import Echo, exactly, fields, pieces, send
from tests.crawler.scripted import Peer, polite, serving
from tests.crawler.test_tls import client_context, server_context

Run = Callable[..., Any]


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_each_method_has_a_verb(run: Run, method: str) -> None:
    async def main(url: str) -> bytes:
        async with Client() as client:
            return bytes((await getattr(client, method)(url)).body)

    with serving(polite) as server:
        assert run(main, server.url) == b"hello"
    head = server.requests[0]
    assert head.startswith(method.upper().encode() + b" / HTTP/1.1\r\n")
    assert (b"\r\nContent-Length: 0\r\n" in head) == (method in ("post", "put", "patch"))


def test_the_reply_to_head_has_no_body_and_the_connection_is_kept(run: Run) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")

    async def main(url: str) -> None:
        async with Client() as client:
            for _ in range(2):
                response = await client.head(url)
                assert (response.body, response.headers["content-length"]) == (b"", "99999999999")

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 1


def test_parameters_are_added_to_the_query(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            for start in ("/p", "/p?", "/p?a=b", "/p#f"):
                await client.get(
                    url + start, params={"x": [1, 2], "y": "ä &", "z": True, "n": None}
                )
            await client.get(f"{url}/p?a", params="?b&c=ä", headers={b"X": b"1"})

    with serving(polite) as server:
        run(main, server.url)
    query = b"x=1&x=2&y=%C3%A4+%26&z=true&n="
    assert [request.split()[1] for request in server.requests] == [
        b"/p?" + query,
        b"/p?" + query,
        b"/p?a=b&" + query,
        b"/p?" + query,
        b"/p?a&b&c=%C3%A4",
    ]


def test_headers_take_the_place_of_the_usual_ones(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(headers={"X-Mine": "1", "ACCEPT": "text/css"}) as client:
            await client.get(url, headers={"user-agent": "other/1", "X-Two": "ä"})
            await client.get(url, headers=[("Host", "elsewhere"), ("X-Mine", "2")])

    with serving(polite) as server:
        run(main, server.url)
    first, second = map(fields, server.requests)
    assert first["ACCEPT"] == "text/css"
    assert (first["user-agent"], first["X-Two"], first["X-Mine"]) == ("other/1", "ä", "1")
    assert "User-Agent" not in first
    assert "Accept" not in first
    assert (second["Host"], second["X-Mine"]) == ("elsewhere", "2")


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X": "a\r\nEvil: 1"}},
        {"headers": {"X\r\nEvil": "1"}},
        {"headers": {"X": "\0"}},
        {"headers": {"X": "値"}},
        {"headers": {"": "x"}},
        {"cookies": {"a": "b\r\nEvil: 1"}},
        {"json": {}, "content": b""},
        {"json": {}, "data": {}},
        {"json": {}, "data": b""},
        {"json": float("nan")},
        {"files": {"f": ("name", b"", "a/b\r\nEvil: 1")}},
    ],
)
def test_what_cannot_be_sent_is_a_value_error_and_nothing_is_sent(
    run: Run, options: dict[str, Any]
) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(ValueError, match=r"."):
                await client.request("GET", url, **options)
            assert client.pool.open_connections == 0

    with serving(polite) as server:
        run(main, server.url)
    assert server.requests == []


@pytest.mark.parametrize(
    "options", [{"follow_redirect": False}, {"verify": False}, {"headers": {"X": 1}}]
)
def test_what_means_nothing_is_a_type_error_and_not_passed_over(
    run: Run, options: dict[str, Any]
) -> None:
    with serving(polite) as server, pytest.raises(TypeError, match=r"no keyword|must be text"):
        run(lambda: send("GET", server.url, **options))
    assert server.requests == []


@pytest.mark.parametrize("method", ["", "GE T", "GET / HTTP/1.1\r\nX: ", "CONNECT"])
def test_a_method_that_is_none_is_a_value_error(run: Run, method: str) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(ValueError, match=r"."):
                await client.request(method, url)

    with serving(polite) as server:
        run(main, server.url)
    assert server.requests == []


PIECES = b"one" + b"two" * 100_000 + b"three"


BIG = bytes(range(256)) * 12_000


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("options", "body", "header"),
    [
        ({"content": b"bytes"}, b"bytes", "Content-Length: 5"),
        ({"content": "täxt"}, "täxt".encode(), "Content-Type: text/plain; charset=utf-8"),
        ({"content": b""}, b"", "Content-Length: 0"),
        ({"content": BIG}, BIG, f"Content-Length: {len(BIG)}"),
        ({"content": pieces}, PIECES, "Transfer-Encoding: chunked"),
        (
            {"content": pieces, "headers": {"Content-Length": str(len(PIECES))}},
            PIECES,
            f"Content-Length: {len(PIECES)}",
        ),
        ({"content": lambda: [b"a", b"b"]}, b"ab", "Transfer-Encoding: chunked"),
        ({"content": lambda: io.BytesIO(BIG)}, BIG, f"Content-Length: {len(BIG)}"),
        ({"content": Path(__file__)}, Path(__file__).read_bytes(), "User-Agent: crawler"),
        ({"data": b"bytes"}, b"bytes", "Content-Length: 5"),
        ({"json": {"ä": [1, None]}}, '{"ä":[1,null]}'.encode(), "Content-Type: application/json"),
        (
            {"data": {"a": ["1", 2], "b": "ä b"}},
            b"a=1&a=2&b=%C3%A4+b",
            "Content-Type: application/x-www-form-urlencoded",
        ),
    ],
    ids=[
        "bytes",
        "text",
        "none",
        "big",
        "async",
        "length",
        "iterable",
        "file",
        "path",
        "data",
        "json",
        "form",
    ],
)
def test_a_body_is_sent(
    run: Run, scheme: str, options: dict[str, Any], body: bytes, header: str
) -> None:
    echo = Echo()

    async def main(url: str) -> None:
        async with Client(tls=client_context()) as client:
            for method in ("POST", "GET"):
                made = {
                    name: value() if callable(value) else value for name, value in options.items()
                }
                response = await client.request(method, url, **made)
                assert response.body == body

    tls = server_context() if scheme == "https" else None
    with serving(echo, tls) as server:
        run(main, server.url)
    assert echo.bodies == [body, body]
    assert server.connections == 1
    assert all(f"\r\n{header}\r\n".encode() in head for head in server.requests)


def test_files_are_sent_with_the_fields_of_a_form(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(b"<p>")
    echo = Echo()
    with serving(echo) as server, (tmp_path / "page.html").open("rb") as file:
        run(
            lambda: send(
                "POST",
                server.url,
                data={"name": "ä"},
                files={
                    "path": tmp_path / "page.html",
                    "file": file,
                    "made": ('a"b\r\n.bin', b"\0\1", "x/y"),
                    "no file": (None, "v"),
                },
            )
        )
    boundary = fields(server.requests[0])["Content-Type"].partition("boundary=")[2].encode()
    assert "Content-Length" in fields(server.requests[0])
    page = b'filename="page.html"\r\nContent-Type: text/html\r\n\r\n<p>\r\n'
    assert echo.bodies[0].split(b"--" + boundary) == [
        b"",
        b'\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xc3\xa4\r\n',
        b'\r\nContent-Disposition: form-data; name="path"; ' + page,
        b'\r\nContent-Disposition: form-data; name="file"; ' + page,
        b'\r\nContent-Disposition: form-data; name="made"; filename="a%22b%0D%0A.bin"\r\n'
        b"Content-Type: x/y\r\n\r\n\0\1\r\n",
        b'\r\nContent-Disposition: form-data; name="no file"\r\n\r\nv\r\n',
        b"--\r\n",
    ]


@pytest.mark.parametrize("stays", [True, False])
def test_a_reply_that_comes_before_the_body_was_sent_ends_the_sending(
    run: Run, stays: bool
) -> None:
    """A server that does not want a body says so, and need not read the rest of it."""
    begun: list[bool] = []
    ended: list[bool] = []
    left = threading.Event()

    async def endless() -> AsyncIterator[bytes]:
        begun.append(True)
        try:
            while True:
                yield bytes(100_000)
        finally:
            ended.append(True)

    def script(peer: Peer) -> None:
        peer.request()
        exactly(peer, 100)
        peer.reply(b"too much", status="413 Content Too Large")
        if stays:
            left.wait(10)
        else:
            peer.sock.shutdown(socket.SHUT_WR)
            peer.until_gone()

    async def main(url: str) -> None:
        async with Client() as client:
            response = await client.post(url, content=endless())
            assert (response.status, response.body) == (413, b"too much")
            assert client.pool.open_connections == 0
            assert begun == ended == [True]

    with serving(script) as server:
        run(main, server.url)
        left.set()


def test_an_error_of_the_one_who_makes_the_body_is_raised_and_the_connection_closed(
    run: Run,
) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise ZeroDivisionError("mine")

    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(ZeroDivisionError, match="mine"):
                await client.post(url, content=failing())
            assert client.pool.open_connections == 0

    with serving(lambda peer: peer.until_gone()) as server:
        run(main, server.url)
        assert server.gone.wait(25)


@pytest.mark.parametrize("said", ["3", "9"])
def test_a_body_must_be_as_long_as_it_was_said_to_be(run: Run, said: str) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(ValueError, match="the body"):
                await client.post(url, content=iter([b"hello"]), headers={"Content-Length": said})
            assert client.pool.open_connections == 0

    with serving(lambda peer: peer.until_gone()) as server:
        run(main, server.url)


def test_a_server_that_takes_nothing_is_given_up_after_the_write_limit(run: Run) -> None:
    done = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        done.wait(10)

    async def main(url: str) -> None:
        async with Client(limits=Limits(write=0.2)) as client:
            with pytest.raises(WriteTimeout, match=r"took no byte of the request for 0.2 seconds"):
                await client.post(url, content=bytes(50_000_000))
            assert client.pool.open_connections == 0

    with serving(script) as server:
        run(main, server.url)
        done.set()


def test_the_time_that_the_caller_takes_for_a_body_is_not_the_server_s_fault(run: Run) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.3)
            yield b"x"

    async def main(url: str) -> bytes:
        async with Client(limits=Limits(write=1, read=1)) as client:
            return (await client.post(url, content=slow())).body

    with serving(Echo()) as server:
        assert run(main, server.url) == b"xxxx"


def test_a_cancelled_upload_leaves_nothing(run: Run) -> None:
    ended = []

    async def endless(begun: asyncio.Event) -> AsyncIterator[bytes]:
        begun.set()
        try:
            while True:
                yield bytes(100_000)
        finally:
            ended.append(True)

    async def main(url: str) -> None:
        begun = asyncio.Event()
        async with Client() as client:
            task = asyncio.create_task(client.post(url, content=endless(begun)))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for _ in range(5):
                await asyncio.sleep(0)
            assert client.pool.open_connections == 0
            assert ended == [True]
            assert asyncio.all_tasks() == {asyncio.current_task()}

    with serving(lambda peer: (peer.request(), peer.server.gone.wait(5))) as server:
        run(main, server.url)
        server.gone.set()
