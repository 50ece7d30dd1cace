"""Heads that are read at one look: h11 takes them as well, and for the same."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crawler.http import HTTPError
from crawler.http.plain_head import read_plain
from tests.crawler.tape import exchanged

LINES = [
    *(b"Content-Type: text/html; charset=utf-8", b"Server: x/1.0 (a: b)", b"X:y", b"X-Empty:"),
    *(b"Content-Length: 3", b"content-length: 3", b"Content-Length: 3, 3", b"Content-Length: +3"),
    *(b"Content-Length: 0", b"Content-Length: " + b"0" * 21, b"Content-Length: 1_0"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked", b"Transfer-Encoding: gzip"),
    *(b"Connection: keep-alive", b"Connection: close", b"Connection: Keep-Alive, close"),
    *(b" folded", b"Bad Name: x", b"Tail: x ", b"X: a\rb", b"X: a\0b", b"X: \xe9", b"X:  two"),
]
STATUSES = [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 204 No", b"HTTP/1.1 404 Not  Found"]
STATUSES += [b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 100 Continue", b"HTTP/1.1  200 OK"]

heads = st.builds(
    lambda status, lines, end: end.join([status, *lines, b"", b""]),
    st.sampled_from(STATUSES),
    st.lists(st.sampled_from(LINES) | st.binary(max_size=8), max_size=4),
    st.sampled_from([b"\r\n"] * 4 + [b"\n"]),
)


def by_h11(data: bytes) -> tuple[h11.Response, h11.Connection]:
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    http.send(h11.EndOfMessage())
    http.receive_data(data)
    head = http.next_event()
    assert isinstance(head, h11.Response)
    return head, http


def check_head(data: bytes) -> None:
    """What is taken at one look is what h11 takes it for, and so is the exchange as a whole."""
    taken = read_plain(data)
    if taken is None:
        return
    reply, rest = taken
    expected, http = by_h11(data)
    assert reply.status == expected.status_code
    assert reply.phrase.encode("latin-1") == expected.reason
    assert reply.version.encode("ascii") == expected.http_version
    assert reply.headers.fields == expected.headers.raw_items()
    assert rest == http.trailing_data[0]
    if reply.length is not None:  # else in chunks, of which h11 never hears
        content = b""
        while isinstance(event := http.next_event(), h11.Data):
            content += event.data
        assert isinstance(event, h11.EndOfMessage)
        assert rest == content
        assert http.our_state is http.their_state is h11.DONE
        assert not http.trailing_data[0]
    # A head that does not come at once is h11's.
    assert came_of([data]) == came_of([data[:9], data[9:]])


def came_of(pieces: list[bytes]) -> object:
    """All that the client makes of a reply."""
    reply, reusable = exchanged(pieces)
    if isinstance(reply, HTTPError):
        return type(reply), str(reply), reusable
    content = reply.headers.fields, reply.body, reply.wire_bytes, reply.complete, reply.flags
    return reply.status, reply.phrase, reply.version, content, reusable


@settings(max_examples=400, deadline=None)
@given(heads, st.sampled_from([b"", b"abc", b"abcd", b"3\r\nabc\r\n0\r\n\r\n"]))
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: a: b\r\n\r\n", b"abc")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nab")
@example(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", b"abc")
@example(b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", b"abc")
@example(b"HTTP/1.1 200 OK\r\nTail: x \r\nContent-Length: 3\r\n\r\n", b"abc")
def test_what_is_taken_at_one_look_h11_takes_for_the_same(head: bytes, body: bytes) -> None:
    check_head(head + body)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 404 Not Found\r\nConnection: keep-alive\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: x\r\n\r\n3\r\nab",
    ],
)
def test_usual_replies_are_read_at_one_look(data: bytes) -> None:
    assert read_plain(data) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nto the end",
        b"HTTP/1.1 200 OK\r\nX: \xe9\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_whatever_leaves_room_for_doubt_is_left_to_h11(data: bytes) -> None:
    assert read_plain(data) is None
