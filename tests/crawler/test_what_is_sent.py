"""What becomes of the arguments of a request, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crawler.http import Client, Response
from crawler.http.errors import HTTPError
from crawler.http.forms import content_of, query_of
from crawler.http.stream import PlainStream
from tests.crawler.echo_peer import Echo, fields, read_body, send
from tests.crawler.scripted import Peer, polite, serving

Run = Callable[..., Any]


def bytes_of(**given: Any) -> bytes:
    """The body that these arguments make."""

    async def read() -> bytes:
        content = content_of(**given)
        assert content is not None
        if content.data is not None:
            return content.data
        assert content.pieces is not None
        return b"".join([bytes(piece) async for piece in content.pieces()])

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": [1, 2], "b": None, "c": True}, "a=1&a=2&b=&c=true"),
        ({"a": {1}}, "a=1"),
        ({"a": (letter for letter in "xy")}, "a=x&a=y"),
        ({"a": range(2), 3: Decimal("1.5")}, "a=0&a=1&3=1.5"),
        ({"a": []}, ""),
        ([("a", [1, 2]), ("a", 3)], "a=1&a=2&a=3"),
        (iter([("a", b"\xff")]), "a=%FF"),
        ({"a": 1}.items(), "a=1"),
        ("?a=1#b", "a=1%23b"),
        (b"a=1", "a=1"),
    ],
)
def test_parameters_become_a_query(params: Any, query: str) -> None:
    assert query_of(params) == query


def test_no_parameters_leave_the_url_as_it_is(run: Run) -> None:
    with serving(polite) as server:
        run(lambda: send("GET", f"{server.url}/x?q=1", params={"a": []}))
    assert server.requests[0].startswith(b"GET /x?q=1 HTTP")


@pytest.mark.parametrize("form", [{"a": {"b": 1}}, [1, 2], ["a=1"], 5, [("a", 1, 2)]])
def test_what_is_no_form_is_a_type_error(form: Any) -> None:
    with pytest.raises(TypeError, match="must"):
        query_of(form)


async def pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (bytearray(b"raw"), b"raw"),
        (memoryview(b"raw"), b"raw"),
        (io.BytesIO(b"file"), b"file"),
        ([b"one", b"two"], b"onetwo"),
        (pieces, b"onetwo"),
        ([("a", "1"), ("a", "é")], b"a=1&a=%C3%A9"),
    ],
)
def test_data_that_is_no_form_is_the_body_itself(data: Any, body: bytes) -> None:
    assert bytes_of(data=data() if data is pieces else data) == body


@pytest.mark.parametrize("content", [{"a": 1}, 5, object()])
def test_content_that_is_no_body_is_a_type_error(content: Any) -> None:
    with pytest.raises(TypeError, match="a body must be"):
        content_of(content)


def test_a_list_of_pieces_can_be_sent_again_and_an_iterator_cannot() -> None:
    replayable = [content_of(pieces).replayable for pieces in ([b"a"], iter([b"a"]))]  # type: ignore[union-attr]
    assert replayable == [True, False]


def test_json_may_hold_half_of_a_surrogate_pair() -> None:
    assert bytes_of(json={"a": "é\ud83d"}) == '{"a":"é\\ud83d"}'.encode()


def test_an_empty_mapping_of_files_is_no_file() -> None:
    assert bytes_of(data={"a": "1"}, files={}) == b"a=1"


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"f": bytearray(b"x")}, b'name="f"; filename="upload"\r\n'),
        ({"f": ("été.txt", b"x")}, 'filename="été.txt"\r\nContent-Type: text/plain\r\n'.encode()),
        ({"f": (os.fsdecode(b"\xff.bin"), b"x", "a/b")}, b'filename="\xff.bin"\r\n'),
        ({"f": ("n", b"x", "a/b", {"X-A": "1"})}, b"Content-Type: a/b\r\nX-A: 1\r\n\r\nx"),
        ({"f": ("n", b"x", None, {"content-type": "c/d"})}, b'"n"\r\ncontent-type: c/d\r\n\r\nx'),
        ({"f": [("one", b"1"), ("two", b"2")]}, b'name="f"; filename="two"'),
        ([("f", b"1"), ("f", ("two", b"2"))], b'name="f"; filename="two"'),
    ],
)
def test_a_file_is_a_part_of_the_form(files: Any, part: bytes) -> None:
    assert part in bytes_of(files=files)


@pytest.mark.parametrize(
    "files",
    [
        {"f": io.StringIO("text")},
        {"f": None},
        {"f": 5},
        {"f": ("name",)},
        {"f": ("n", b"", "a/b", {}, 5)},
    ],
)
def test_what_is_no_file_is_a_type_error(files: Any) -> None:
    with pytest.raises(TypeError, match="a file "):
        content_of(files=files)


def test_a_file_whose_size_does_not_tell_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = content_of(pipe)
    assert content is not None
    assert (content.length, content.replayable) == (None, False)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"through the pipe",))
    writer.start()
    assert bytes_of(content=pipe) == b"through the pipe"
    writer.join()


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {"X Y": "1"}},
        {"headers": {"X\r\nEvil": "1"}},
        {"headers": {"X": "1\r\nEvil: 1"}},
        {"headers": {"Content-Length": "5"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"user_agent": "a\r\nEvil: 1"},
        {"accept": "値"},
    ],
)
def test_what_a_client_cannot_send_is_a_value_error_when_it_is_made(arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"header|long"):
        Client(**arguments)


@pytest.mark.parametrize("length", ["abc", "-5", "5, 5", ""])
def test_a_length_that_is_none_is_a_value_error(run: Run, length: str) -> None:
    with serving(polite) as server, pytest.raises(ValueError, match="must be a number"):
        run(lambda: send("POST", server.url, content=pieces(), headers={"Content-Length": length}))
    assert server.requests == []


def test_headers_of_the_client_that_are_for_one_origin_do_not_go_to_another(run: Run) -> None:
    own = {"Authorization": "Bearer secret", "Cookie": "a=secret", "Host": "mine", "X-Mine": "1"}

    def sends_on(peer: Peer) -> None:
        while peer.request():
            peer.reply(b"", f"Location: {there.url}/x", status="302 Found")

    async def main(url: str) -> None:
        async with Client(headers=own) as client:
            await client.get(url)
            await client.get(f"{there.url}/asked", headers={"Cookie": "b=other"})

    with serving(polite) as there, serving(sends_on) as here:
        run(main, here.url)
    assert own.items() <= fields(here.requests[0]).items()
    redirected, asked = map(fields, there.requests)
    assert redirected["X-Mine"] == "1"
    assert not own.keys() & redirected.keys() - {"X-Mine", "Host"}
    assert redirected["Host"] == there.url.removeprefix("http://")
    assert asked == {**asked, **own, "Cookie": "b=other"}


@pytest.mark.parametrize("whose", ["the request", "the client"])
def test_a_connection_that_we_said_to_close_is_not_kept(run: Run, whose: str) -> None:
    said = {"connection": "Close"}

    async def main(url: str) -> None:
        async with Client(headers=said if whose == "the client" else None) as client:
            await client.get(url, headers=said if whose == "the request" else None)
            assert client.pool.open_connections == 0

    with serving(polite) as server:
        run(main, server.url)


@pytest.mark.parametrize("answer", ["100 Continue", "417 Expectation Failed", ""])
def test_a_body_waits_for_a_server_that_is_asked_whether_it_wants_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("crawler.http.upload.CONTINUE_SECONDS", 0.05 if not answer else 30.0)
    bodies = []

    def script(peer: Peer) -> None:
        head = peer.request()
        if answer:
            peer.sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                peer.sock.recv(1)  # it does wait
            peer.sock.setblocking(True)
        if answer.startswith("417"):
            peer.reply(b"", status=answer)
            peer.until_gone()
            return
        if answer:
            peer.send(f"HTTP/1.1 {answer}\r\n\r\n".encode())
        bodies.append(read_body(peer, head))
        peer.reply(b"thanks")

    with serving(script) as server:
        response: Response = run(
            lambda: send("PUT", server.url, content=b"body", headers={"Expect": "100-continue"})
        )
    assert response.status == (417 if answer.startswith("417") else 200)
    assert bodies == ([] if answer.startswith("417") else [b"body"])


def test_a_reply_is_read_although_the_server_takes_nothing_of_the_request(run: Run) -> None:
    connected, replied = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        assert connected.wait(30)
        peer.reply(b"too busy", "Connection: close", status="503 Busy")
        # It is reset, so that the request cannot be sent at all.
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sock.close()
        replied.set()

    async def main(url: str) -> Response:
        def wait(event: str, info: Any) -> None:
            if event == "connect_tcp.complete":
                connected.set()
            elif event == "send_request.started":
                assert replied.wait(30)

        async with Client(trace=wait) as client:
            return await client.get(url)

    with serving(script) as server:
        response: Response = run(main, server.url)
    assert (response.status, response.body) == (503, b"too busy")


@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("sent", [0, 1, 2], ids=["nothing", "the head", "a part of the body"])
def test_a_request_that_cannot_be_sent_is_not_waited_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, sent: int, interim: bytes
) -> None:
    left = [PlainStream.send_all] * sent

    def script(peer: Peer) -> None:
        peer.send(interim)
        peer.until_gone()

    async def send_or_refuse(self: PlainStream, data: bytes) -> None:
        if not left:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        await left.pop()(self, data)

    async def main(url: str) -> None:
        async with asyncio.timeout(5), Client() as client:
            await client.put(url, content=bytes(300_000))

    monkeypatch.setattr(PlainStream, "send_all", send_or_refuse)
    with serving(script) as server, pytest.raises(HTTPError, match="No buffer space"):
        run(main, server.url)


def test_what_goes_wrong_in_leaving_a_body_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"one"
        finally:
            raise LookupError("cannot be left")

    async def send_the_head(self: PlainStream, data: bytes) -> None:
        if not data.startswith(b"PUT"):
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    monkeypatch.setattr(PlainStream, "send_all", send_the_head)
    with serving(Peer.until_gone) as server, pytest.raises(LookupError, match="cannot be left"):
        run(lambda: send("PUT", server.url, content=body()))


def test_a_reply_that_has_begun_is_waited_for_although_the_rest_cannot_be_sent(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.http.connection.LAST_WORDS", 0.0)
    send_all, recv, refused = PlainStream.send_all, PlainStream.recv, threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 413 ")
        assert refused.wait(30)
        peer.send(b"Too Large\r\nContent-Length: 2\r\n\r\nno")
        peer.until_gone()

    async def main(url: str) -> Response:
        begun = asyncio.Event()

        async def note(self: PlainStream) -> bytes:
            data = await recv(self)
            begun.set()
            return data

        async def send_the_head(self: PlainStream, data: bytes) -> None:
            if data.startswith(b"PUT"):
                return await send_all(self, data)
            await begun.wait()
            asyncio.get_running_loop().call_later(0.05, refused.set)
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

        monkeypatch.setattr(PlainStream, "recv", note)
        monkeypatch.setattr(PlainStream, "send_all", send_the_head)
        async with Client() as client:
            return await client.put(url, content=bytes(300_000))

    with serving(script) as server:
        response: Response = run(main, server.url)
    assert (response.status, response.body) == (413, b"no")


def test_a_body_of_a_known_length_is_sent_in_chunks_if_one_wants_them(run: Run) -> None:
    echo, chunked = Echo(), {"Transfer-Encoding": "Chunked"}
    with serving(echo) as server:
        run(lambda: send("POST", server.url, content=b"body", headers=chunked))
        with pytest.raises(ValueError, match="must be chunked"):
            run(lambda: send("POST", server.url, headers={"Transfer-Encoding": "gzip"}))
    assert echo.bodies == [b"body"]
    assert fields(server.requests[0])["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in fields(server.requests[0])
