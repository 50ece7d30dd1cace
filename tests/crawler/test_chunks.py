"""The chunked transfer coding: what is decoded, what is put up with, and what is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.http import Client, ProtocolError, Response
from crawler.http.chunks import BadChunk, Chunks
from tests.crawler.scripted import Peer, polite, serving

Run = Callable[..., Any]

PLAIN = {
    "one chunk": b"5\r\nhello\r\n0\r\n\r\n",
    "two": b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "zeros before a size": b"0005\r\nhello\r\n000\r\n\r\n",
    "an extension": b"5;a=b;c\r\nhello\r\n0;d\r\n\r\n",
    "blanks after a size": b"5  \r\nhello\r\n0\t\r\n\r\n",
    "blanks before an extension": b"5 ; a\r\nhello\r\n0\r\n\r\n",
    "a trailer": b"5\r\nhello\r\n0\r\nX: y\r\nZ: 1\r\n\r\n",
}
ODD = {
    "LF for line ends": b"5\nhello\n0\n\n",
    "LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "LF after a size": b"5\nhello\r\n0\r\n\r\n",
    "LF in the trailer": b"5\r\nhello\r\n0\r\nX: y\n\r\n",
}
BAD = {
    "no size": b"\r\nhello\r\n",
    "a sign": b"+5\r\nhello\r\n",
    "0x": b"0x5\r\nhello\r\n",
    "an underscore": b"1_0\r\nhello\r\n",
    "a blank before the size": b" 5\r\nhello\r\n",
    "a word": b"five\r\nhello\r\n",
    "seventeen digits": b"1" * 17 + b"\r\n",
    "more data than size": b"4\r\nhello\r\n0\r\n\r\n",
    "more data than size, so far": b"4\r\nhello",
    "CR alone": b"5\rhello\r0\r\r" + b"x" * 5000,
    "a line without an end": b"5;" + b"x" * 5000,
    "a trailer without an end": b"0\r\n" + b"X: y\r\n" * 20_000,
}


async def fetch(url: str) -> Response:
    async with Client() as client:
        return await client.get(url)


def sending(data: bytes) -> Callable[[Peer], None]:
    """A script whose first reply has these chunks; it waits then for what the client does."""

    def script(peer: Peer) -> None:
        if peer.number == 1:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
        polite(peer)

    return script


async def twice(url: str) -> list[bytes]:
    async with Client() as client:
        return [(await client.get(url)).body for _ in range(2)]


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN.keys())
def test_chunks_are_undone_that_have(run: Run, data: bytes) -> None:
    with serving(sending(data)) as server:
        assert run(twice, server.url) == [b"hello", b"hello"]
    assert server.connections == 1


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_chunks_are_undone_and_the_connection_not_kept_that_have(run: Run, data: bytes) -> None:
    with serving(sending(data)) as server:
        assert run(twice, server.url) == [b"hello", b"hello"]
    assert server.connections == 2


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_chunks_are_refused_that_have(run: Run, data: bytes) -> None:
    with serving(sending(data)) as server, pytest.raises(ProtocolError):
        run(fetch, server.url)


@pytest.mark.parametrize("after", [b"0\r\n", b"0\r\nX: y\r\n", b"0\r\n\r"])
def test_the_end_of_the_connection_may_stand_for_that_of_the_trailer(
    run: Run, after: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + after)

    with serving(script) as server:
        assert run(fetch, server.url).body == b"hello"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: Keep, Close\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
@pytest.mark.parametrize("after", [b"", b"evil"])
def test_a_connection_is_not_kept_after_chunks_when(run: Run, head: bytes, after: bytes) -> None:
    def script(peer: Peer) -> None:
        if peer.number == 1:
            peer.request()
            peer.send(head + PLAIN["two"] + after)
            peer.until_gone()
        polite(peer)

    with serving(script) as server:
        assert run(twice, server.url) == [b"hello", b"hello"]
    assert server.connections == 2


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.sampled_from([b"\r\n", b"\n"]),
    st.data(),
)
def test_what_was_cut_into_chunks_comes_together_however_it_travels(
    pieces: list[bytes], end: bytes, data: Any
) -> None:
    sent = b"".join(b"%X%b%b%b" % (len(piece), end, piece, end) for piece in pieces)
    sent += b"0" + end + end + b"rest"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    chunks = Chunks()
    got = b"".join(
        chunks.feed(sent[start:stop]) for start, stop in itertools.pairwise([0, *cuts, len(sent)])
    )
    assert got == b"".join(pieces)
    assert chunks.ended
    assert chunks.rest == b"rest"
    assert chunks.odd == (end == b"\n")


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from([b"5", b"0", b"\r\n", b"\n", b"hello", b";x", b" ", b"\r"])))
def test_any_bytes_are_chunks_or_none_whichever_way_they_come(tokens: list[bytes]) -> None:
    def decode(pieces: list[bytes]) -> tuple[bytes, bool, bytes] | None:
        chunks = Chunks()
        try:
            got = b"".join(chunks.feed(piece) for piece in pieces)
        except BadChunk:
            return None
        return got, chunks.ended, chunks.rest

    whole = b"".join(tokens)
    assert decode([whole]) == decode([bytes([byte]) for byte in whole]) or not whole
