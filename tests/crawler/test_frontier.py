"""Reading the list of URLs: what counts as one, what is reported, what is never held."""

from __future__ import annotations

import asyncio
import codecs
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.frontier import (
    CHUNK,
    MAX_LINE,
    Frontier,
    Job,
    Malformed,
    count_urls,
    parse_line,
)
from crawler.frontier.lines import Lines

Run = Callable[..., Any]


async def read_all(path: Path) -> tuple[list[str], list[Malformed]]:
    found: list[str] = []
    malformed: list[Malformed] = []
    async with Frontier(path, malformed.append) as frontier:
        job: Job | None = None
        while (job := await frontier.next(job)) is not None:
            found.append(job.source)
        assert await frontier.next() is None
    return found, malformed


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "urls.txt"
    path.write_bytes(data)
    return path


def test_urls_come_in_order_without_blank_lines_and_comments(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, b"\n# one\nhttp://a/\r\n\n   http://b/  \n\t# two\nhttp://c/#d\n")
    assert run(read_all, path) == (["http://a/", "http://b/", "http://c/#d"], [])


@pytest.mark.parametrize("data", [b"", b"\n", b"# nothing\n", b"   "])
def test_a_list_may_be_empty(run: Run, tmp_path: Path, data: bytes) -> None:
    assert run(read_all, write(tmp_path, data)) == ([], [])


def test_the_last_line_needs_no_end(run: Run, tmp_path: Path) -> None:
    assert run(read_all, write(tmp_path, b"http://a/\nhttp://b/")) == (
        ["http://a/", "http://b/"],
        [],
    )


def test_a_byte_order_mark_at_the_head_is_ignored(run: Run, tmp_path: Path) -> None:
    assert run(read_all, write(tmp_path, b"\xef\xbb\xbfhttp://a/\n")) == (["http://a/"], [])


def test_a_malformed_line_is_reported_by_its_number_and_the_rest_goes_on(
    run: Run, tmp_path: Path
) -> None:
    lines = [
        b"# a comment",
        b"http://a/",
        b"example.com",
        b"ftp://a/",
        b"http://a b/",
        b"http://a/\xff",
        b"http://a/\tb",
        b"localhost:8080/x",
        b"http://" + "\u4e00".encode() * 300,
        b"http://b/",
        b'"http://c/",',
    ]
    found, malformed = run(read_all, write(tmp_path, b"\n".join(lines)))
    assert found == ["http://a/", "http://b/"]
    assert malformed == [
        (
            3,
            "example.com",
            "not an absolute URL: did you mean http://example.com or https://…?",
        ),
        (4, "ftp://a/", "the scheme must be http or https, got 'ftp'"),
        (5, "http://a b/", "not a host name or address: 'a b'"),
        (6, "http://a/\\xff", "not UTF-8: the byte 0xFF"),
        (7, "http://a/\tb", "the control character '\\t' inside the URL"),
        (
            8,
            "localhost:8080/x",
            "not an absolute URL: did you mean http://localhost:8080/x or https://…?",
        ),
        (9, ("http://" + "\u4e00" * 300)[:200], "a host name of more than 253 characters"),
        (11, '"http://c/",', "not an absolute URL: did you mean http://c/?"),
    ]


def test_a_list_longer_than_a_chunk_loses_no_line(run: Run, tmp_path: Path) -> None:
    urls = [f"http://host-{number}/{'x' * (number % 97)}" for number in range(5000)]
    data = "\n".join(urls).encode()
    assert len(data) > 3 * CHUNK
    assert run(read_all, write(tmp_path, data)) == (urls, [])


@pytest.mark.parametrize("length", [MAX_LINE + 1, CHUNK, 3 * CHUNK + 5])
def test_a_line_without_an_end_in_sight_is_reported_once(
    run: Run, tmp_path: Path, length: int
) -> None:
    data = b"http://a/\n" + b"x" * length + b"\nhttp://b/\nnonsense\n"
    found, malformed = run(read_all, write(tmp_path, data))
    assert found == ["http://a/", "http://b/"]
    assert [(line.line, len(line.text), line.why) for line in malformed] == [
        (2, 200, f"longer than {MAX_LINE:,} bytes"),
        (4, 8, "not an absolute URL"),
    ]


def test_many_workers_get_each_url_once(run: Run, tmp_path: Path) -> None:
    urls = [f"http://host-{number}/" for number in range(3000)]
    path = write(tmp_path, "\n".join(urls).encode())

    async def main() -> list[str]:
        got: list[str] = []
        async with Frontier(path, pytest.fail) as frontier:

            async def work() -> None:
                job: Job | None = None
                while (job := await frontier.next(job)) is not None:
                    got.append(job.source)
                    await asyncio.sleep(0)

            await asyncio.gather(*(work() for _ in range(20)))
        return got

    assert sorted(run(main)) == sorted(urls)


def test_a_list_from_a_pipe_is_used_while_it_is_being_written(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    first_used = threading.Event()

    def produce() -> None:
        with path.open("wb", buffering=0) as pipe:
            pipe.write(b"http://a/\nhttp://")
            assert first_used.wait(10)
            pipe.write(b"b/\n")

    async def main() -> list[str]:
        async with Frontier(path, pytest.fail) as frontier:
            first = await frontier.next()
            first_used.set()
            second = await frontier.next(first)
            assert first is not None
            assert second is not None
            assert await frontier.next(second) is None
            return [first.source, second.source]

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        assert run(main) == ["http://a/", "http://b/"]
    finally:
        producer.join()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a b", "a%20b"),
        ("a\u00a0b", "a%C2%A0b"),
        ("a\u200cb", "a%E2%80%8Cb"),
        ("a\u00adb", "a%C2%ADb"),
        ("\U0001f469\u200d\U0001f4bb", "%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB"),
        ("\U0001fae9", "%F0%9F%AB%A9"),  # an emoji of 2024
        ("\u202ea", "%E2%80%AEa"),
        ("?q=a b#c d", "?q=a%20b#c%20d"),
    ],
)
def test_what_a_url_cannot_hold_is_percent_encoded_as_a_browser_does(
    text: str, target: str
) -> None:
    job = parse_line(f"http://h/{text}".encode(), 1)
    assert isinstance(job, Job)
    assert job.url.href == f"http://h/{target}"
    assert job.source == f"http://h/{text}"


LISTED = "http://a/\N{CJK UNIFIED IDEOGRAPH-6771}\r\n# x\r\nhttp://b/"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LISTED.encode(), id="UTF-8"),
        pytest.param(LISTED.encode("utf-8-sig"), id="UTF-8 with a mark"),
        pytest.param(LISTED.encode("utf-16"), id="UTF-16, as PowerShell writes it"),
        pytest.param(codecs.BOM_UTF16_BE + LISTED.encode("utf-16-be"), id="UTF-16, big end first"),
        pytest.param(LISTED.encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(LISTED.encode("utf-32"), id="UTF-32"),
        pytest.param(LISTED.replace("\r\n", "\r").encode(), id="CR"),
        pytest.param(LISTED.replace("\r\n", "\x85").encode(), id="NEL"),
        pytest.param(LISTED.replace("\r\n", "\u2028").encode(), id="LINE SEPARATOR"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_list_is_read_whatever_wrote_it_and_however_it_comes(data: bytes, size: int) -> None:
    lines = Lines()
    found = [
        line
        for start in range(0, len(data), size)
        for line in lines.feed(data[start : start + size])
    ]
    found += lines.feed(b"")
    numbered = [(number, line.decode().strip("\ufeff\r")) for number, line in found]
    assert numbered == [
        (1, "http://a/\N{CJK UNIFIED IDEOGRAPH-6771}"),
        (2, "# x"),
        (3, "http://b/"),
    ]


def test_a_list_from_powershell_is_crawled_and_counted(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, "http://a/\r\nhttp://b/\r\n".encode("utf-16"))
    assert run(read_all, path) == (["http://a/", "http://b/"], [])
    assert count_urls(path) == 2


def test_the_number_of_urls_is_counted_beforehand_where_that_is_possible(tmp_path: Path) -> None:
    assert count_urls(write(tmp_path, b"# x\n\nhttp://a/\n  # y\nhttp://b/")) == 2
    os.mkfifo(tmp_path / "pipe")
    assert count_urls(tmp_path / "pipe") is None
