"""Requests of every kind: what goes out, what comes back, and what is never sent twice."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
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
    Response,
    TooLarge,
    TotalTimeout,
    WriteTimeout,
)
from tests.crawler.scripted import Peer, html, polite, saying, serving
from tests.crawler.test_client import chunks
from tests.crawler.test_tls import client_context, server_context

Run = Callable[..., Any]


def read_body(peer: Peer, head: bytes) -> bytes:
    """What a request's head says that follows it, chunks undone."""
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(read_line(peer), 16):
            body += exactly(peer, size)
            assert read_line(peer) == b""
        assert read_line(peer) == b""
        return body
    return exactly(peer, int(fields.get(b"content-length", b"0")))


def read_line(peer: Peer) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        line += exactly(peer, 1)
    return line[:-2]


def exactly(peer: Peer, size: int) -> bytes:
    parts = []
    while size:
        data = peer.sock.recv(min(size, 1 << 20))
        if not data:
            raise ConnectionError("the client left in the middle of a body")
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


class Echo:
    """A script that keeps what it gets and answers with it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while head := peer.request():
            self.bodies.append(read_body(peer, head))
            peer.reply(self.bodies[-1])


async def send(method: str, url: str, **options: Any) -> Response:
    async with Client(tls=client_context()) as client:
        return await client.request(method, url, **options)


def fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return dict(line.split(": ", 1) for line in lines)


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


# ---- bodies out --------------------------------------------------------------------------------


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"one", b"", b"two" * 100_000, b"three"):
        await asyncio.sleep(0)
        yield piece


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
        assert server.gone.wait(5)


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
            await asyncio.sleep(0.15)
            yield b"x"

    async def main(url: str) -> bytes:
        async with Client(limits=Limits(write=0.3, read=0.3)) as client:
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
            Client(limits=Limits(read=0.2)) as client,
            client.stream("GET", url) as response,
        ):
            source = response.pieces()
            assert await anext(source) == b"hello"
            await asyncio.sleep(0.4)  # the reader takes its time, which is its own affair
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
