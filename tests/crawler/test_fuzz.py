"""Whatever a server sends, a page holds or a list says: an answer or an HTTPError."""

from __future__ import annotations

import codecs
import gzip
import itertools
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crawler.frontier import Job, Malformed, parse_line
from crawler.http import URL, HTTPError, InvalidURL, Reply
from crawler.http.charset import decode
from crawler.page import KINDS, find_links
from tests.crawler.tape import exchanged

PAGE = "http://h/dir/page"


def play(pieces: list[bytes]) -> Reply | HTTPError:
    return exchanged(pieces)[0]


def check_reply(data: bytes) -> None:
    """Whatever it is, it is read or refused; if it is a page its links are clean."""
    cut = len(data) // 2
    result = play([data[:cut], data[cut:]])
    if isinstance(result, HTTPError):
        assert result.url == "http://h/"
        assert str(result)
        return
    assert len(result.body) <= 10_000
    check_page(result.body, result.headers.get("content-type", ""))


def check_page(data: bytes, content_type: str = "") -> None:
    """Whatever it is, its links are absolute, clean, and what they are when they are read again."""
    text, codec = decode(data, content_type)
    for link in find_links(text, PAGE, codec, frozenset(KINDS)):
        assert link.startswith(("http://", "https://"))
        assert link.isascii()
        assert link.isprintable()
        assert " " not in link
        again = f'<a href="{link.replace("&", "&amp;").replace(chr(34), "&quot;")}">'
        assert find_links(again, PAGE) == [link]


CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("path", sorted((CORPUS / "replies").iterdir()), ids=lambda path: path.name)
def test_each_reply_of_the_corpus_is_read_or_refused(path: Path) -> None:
    check_reply(path.read_bytes())


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.html")), ids=lambda path: path.name)
def test_each_page_of_the_corpus_has_clean_links(path: Path) -> None:
    check_page(path.read_bytes())


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([path.read_bytes() for path in sorted((CORPUS / "replies").iterdir())]),
    st.integers(0, 400),
    st.binary(max_size=4),
    st.integers(0, 4),
)
def test_a_reply_of_the_corpus_that_is_changed_somewhere_is_read_or_refused(
    data: bytes, place: int, put: bytes, left_out: int
) -> None:
    check_reply(data[:place] + put + data[place + left_out :])


HEADERS = st.sampled_from(
    [
        b"Content-Length: 5",
        b"Content-Length: 0",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999999",
        b"Content-Length: 5, 5",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Encoding: gzip",
        b"Content-Encoding: deflate",
        b"Content-Encoding: identity",
        b"Content-Encoding: \xff",
        b"Connection: close",
        b"Content-Type: text/html; charset=\xe4",
        b"X:",
        b": x",
        b" folded",
        b"\0: \0",
    ]
)
STATUS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 200",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 101 Switching",
        b"HTTP/2 200",
        b"HTTP/1.1 999 \xff",
        b"",
    ]
)
BODIES = st.one_of(
    st.binary(max_size=50),
    st.sampled_from(
        [
            b"hello",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
            b"ffffffffffffffffff\r\n",
            gzip.compress(b"hello"),
            zlib.compress(b"hello"),
            gzip.compress(bytes(20_000)),
        ]
    ),
)


@settings(max_examples=500, deadline=None)
@given(status=STATUS, headers=st.lists(HEADERS, max_size=5), body=BODIES, data=st.data())
def test_any_reply_is_read_or_refused(
    status: bytes, headers: list[bytes], body: bytes, data: Any
) -> None:
    reply = b"\r\n".join([status, *headers]) + b"\r\n\r\n" + body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=4)))
    ends = [0, *cuts, len(reply)]
    result = play([reply[start:end] for start, end in itertools.pairwise(ends)])
    if isinstance(result, Reply):
        assert len(result.body) <= 10_000
    else:
        assert result.url == "http://h/"
        assert str(result)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_at_all_are_read_or_refused(pieces: list[bytes]) -> None:
    assert isinstance(play(pieces), Reply | HTTPError)


LABELS = st.sampled_from(
    ["", "utf-8", "utf-16", "gbk", "iso-2022-jp", "x-user-defined", "replacement", "idna", "rot13"]
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), LABELS)
@example(codecs.BOM_UTF16_LE + b"\x00\xd8", "")
@example(b'<meta charset="undefined">', "")
@example(b'<meta charset="utf-7">+2AA-', "")
def test_any_bytes_decode_to_text_that_can_be_parsed(body: bytes, label: str) -> None:
    text, codec = decode(body, f"text/html; charset={label}")
    links = find_links(text + '<a href="/x">', PAGE, codec)
    assert all(link.startswith(("http:", "https:")) for link in links)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["utf-8", "cp1252", "koi8-r", "euc_jp"]))
def test_any_reference_becomes_a_clean_line_or_nothing(reference: str, codec: str) -> None:
    attribute = reference.replace("&", "&amp;").replace('"', "&quot;")
    for link in find_links(f'<a href="{attribute}">', PAGE, codec):
        assert link.isascii()
        assert link.isprintable()
        assert not any(blank in link for blank in " \t\r\n")
        assert find_links(f'<a href="{link.replace("&", "&amp;")}">', PAGE) == [link]


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
@example(b"http://\xf0\x9f\x92\xa9/")
@example(b"http://h/\xe2\x80\xa8")
@example(b"http://h:0/")
def test_any_line_is_a_job_a_report_or_nothing(line: bytes) -> None:
    result = parse_line(line.replace(b"\n", b""), 7)
    assert result is None or isinstance(result, Job | Malformed)
    if isinstance(result, Job):
        assert "\t" not in result.source
        assert result.url.target.startswith(b"/")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_url_that_can_be_requested_or_invalid(text: str) -> None:
    try:
        url = URL("http://" + text)
    except InvalidURL:
        return
    assert url.target.startswith(b"/")
    assert not any(byte <= 0x20 or byte >= 0x7F for byte in url.target + url.host_header.encode())
