"""Heads that h11 refuses: what is mended, skipped and refused, and that nothing slips in by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.http import Client, ProtocolError, Response
from crawler.http.head import BadHead, mend
from tests.crawler.scripted import Peer, polite, saying, serving

Run = Callable[..., Any]

HELLO = b"Content-Length: 5\r\n\r\nhello"
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"

MENDED = {
    "an empty line before it": b"\r\nHTTP/1.1 200 OK\r\n" + HELLO,
    "several empty lines before it": b"\r\n\n\r\nHTTP/1.1 200 OK\r\n" + HELLO,
    "small letters": b"http/1.1 200 OK\r\n" + HELLO,
    "two spaces": b"HTTP/1.1  200  OK\r\n" + HELLO,
    "HTTP/2": b"HTTP/2 200\r\n" + HELLO,
    "ICY": b"ICY 200 OK\r\n" + HELLO,
    "CR in the phrase": b"HTTP/1.1 200 O\rK\r\n" + HELLO,
    "no space after the code": b"HTTP/1.1 200OK\r\n" + HELLO,
    "no colon": b"HTTP/1.1 200 OK\r\nno colon\r\n" + HELLO,
    "no name": b"HTTP/1.1 200 OK\r\n: value\r\n" + HELLO,
    "a space before the colon": b"HTTP/1.1 200 OK\r\nX-A : b\r\n" + HELLO,
    "a space in a name": b"HTTP/1.1 200 OK\r\nX A: b\r\n" + HELLO,
    "a slash in a name": b"HTTP/1.1 200 OK\r\na/b: c\r\n" + HELLO,
    "brackets in a name": b"HTTP/1.1 200 OK\r\nX-(A): b\r\n" + HELLO,
    "letters in a name": b"HTTP/1.1 200 OK\r\nX-\xc3\xa9: b\r\n" + HELLO,
    "a fold before all fields": b"HTTP/1.1 200 OK\r\n folded\r\n" + HELLO,
    "a fold after a line that is skipped": b"HTTP/1.1 200 OK\r\nno colon\r\n folded\r\n" + HELLO,
    "CR in a value": b"HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\n" + HELLO,
    "VT and FF in a value": b"HTTP/1.1 200 OK\r\nX-A: 1\v2\f3\r\n" + HELLO,
    "a length with a space before its colon": (
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello and more"
    ),
    "after an interim reply": (
        b"HTTP/1.1 103 Early Hints\r\n: x\r\n\r\nHTTP/1.1 200 OK\r\nno colon\r\n" + HELLO
    ),
    "chunked twice": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        + CHUNKED
    ),
    "chunked, chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKED,
    "identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n" + HELLO,
    "identity, chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n" + CHUNKED
    ),
}

REFUSED = {
    "no status line": b"220 smtp.example.com ESMTP\r\n\r\n",
    "no code": b"HTTP/1.1 OK\r\n" + HELLO,
    "a code of four digits": b"HTTP/1.1 2000 OK\r\n" + HELLO,
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\n" + HELLO,
    "NUL in a name": b"HTTP/1.1 200 OK\r\nX\0A: b\r\n" + HELLO,
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n" + HELLO,
    "chunked before another": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n" + HELLO,
    "chunked amid others": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip, chunked\r\n\r\n" + CHUNKED
    ),
    "two lengths": b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 4\r\n" + HELLO,
    "two lengths, one with a space": b"HTTP/1.1 200 OK\r\nContent-Length : 4\r\n" + HELLO,
    "a length with a plus": b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: +5\r\n\r\nhello",
    "a length that is empty": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
    "a status below 100": b"HTTP/1.1 099 OK\r\n" + HELLO,
    "a length below zero": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
    "a length without a colon": b"HTTP/1.1 200 OK\r\nContent-Length 4\r\n" + HELLO,
    "a length with a space in its name": b"HTTP/1.1 200 OK\r\nContent Length: 4\r\n" + HELLO,
    "a coding folded before all fields": (
        b"HTTP/1.1 200 OK\r\n Transfer-Encoding: chunked\r\n" + HELLO
    ),
    "a coding in a fold of a skipped line": (
        b"HTTP/1.1 200 OK\r\nx y: z\r\n Transfer-Encoding: chunked\r\n" + HELLO
    ),
}


async def fetch(url: str) -> Response:
    async with Client() as client:
        return await client.get(url)


@pytest.mark.parametrize("data", MENDED.values(), ids=MENDED.keys())
def test_a_head_is_mended_that_has(run: Run, data: bytes) -> None:
    with serving(saying(data)) as server:
        response = run(fetch, server.url)
    assert (response.status, response.body) == (200, b"hello")
    assert response.flags == ("mended head",)


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_a_head_is_refused_that_has(run: Run, data: bytes) -> None:
    with serving(saying(data)) as server, pytest.raises(ProtocolError):
        run(fetch, server.url)


def test_a_head_without_an_end_is_refused(run: Run) -> None:
    data = b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20)
    with serving(saying(data)) as server, pytest.raises(ProtocolError, match="more than 65,536"):
        run(fetch, server.url)


@pytest.mark.parametrize("step", [1, 7])
def test_a_head_is_mended_however_it_is_split(run: Run, step: int) -> None:
    data = MENDED["after an interim reply"]

    def script(peer: Peer) -> None:
        peer.request()
        for start in range(0, len(data), step):
            peer.send(data[start : start + step])

    with serving(script) as server:
        assert run(fetch, server.url).body == b"hello"


@pytest.mark.parametrize("data", MENDED.values(), ids=MENDED.keys())
def test_the_connection_of_a_mended_head_is_not_used_again(run: Run, data: bytes) -> None:
    """What two readers may disagree about ends with the reply."""

    def script(peer: Peer) -> None:
        if peer.number == 1:
            peer.request()
            peer.send(data)
            peer.until_gone()
        else:
            polite(peer)

    async def main(url: str) -> None:
        async with Client() as client:
            await client.get(url)
            assert client.pool.open_connections == 0
            assert (await client.get(url)).flags == ()

    if b"\r\nContent-Length" not in data and b"chunked" not in data:
        return  # ends with the connection anyway
    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 2


def test_a_length_beside_chunks_is_not_believed_and_the_connection_not_kept(run: Run) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head + CHUNKED)
        peer.until_gone()

    async def main(url: str) -> None:
        async with Client() as client:
            assert (await client.get(url)).body == b"hello"
            assert client.pool.open_connections == 0

    with serving(script) as server:
        run(main, server.url)


def test_gzip_as_a_transfer_coding_is_undone(run: Run) -> None:
    import gzip

    body = gzip.compress(b"hello")
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    data += b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with serving(saying(data)) as server:
        assert run(fetch, server.url).body == b"hello"


def test_interim_replies_without_an_end_are_refused(run: Run) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        while True:
            peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 50)

    with serving(script) as server, pytest.raises(ProtocolError, match="interim replies"):
        run(fetch, server.url)


LINES = st.sampled_from(
    [
        b"Content-Length: 5",
        b"Content-Length : 7",
        b"Content-Length: 0\r",
        b"content length: 9",
        b"\tContent-Length: 1",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding\t: identity",
        b"Transfer-Encoding: gzip",
        b" folded",
        b": x",
        b"X",
        b"X: a\rb",
        b"X: HTTP/1.1 200 OK",
        b"",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(LINES, max_size=6), st.binary(max_size=30))
def test_a_mended_head_is_one_head_and_says_one_thing_about_its_body(
    lines: list[bytes], rest: bytes
) -> None:
    received = b"\r\n".join([b"HTTP/1.1  200 OK", *lines]) + b"\r\n\r\n" + rest
    try:
        mended = mend(received)
    except BadHead:
        return
    head, _, after = mended.partition(b"\r\n\r\n")
    assert received.endswith(after)
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert all(line.partition(b":")[1] for line in head.split(b"\r\n")[1:])
    assert names.count(b"transfer-encoding") <= 1
    assert b"\r" not in head.replace(b"\r\n", b"")
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert mend(mended) == mended
