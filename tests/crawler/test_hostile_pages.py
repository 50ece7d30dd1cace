"""Pages that are made to be slow or to fill the memory: each costs what its length costs.

What is quadratic takes half a minute for these pages, so the limits on time are far from both.
"""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from crawler.crawl import crawl
from crawler.http import Client, RedirectError
from crawler.http.charset import utf8_steps
from crawler.http.hosts import host_is_too_long
from crawler.page import PageLinks, Turns, find_links, link_steps, parse_kinds
from crawler.page.resolving import LINK_TOO_LONG, MAX_LINK, MAX_LINKS_BYTES, TOO_MANY_LINKS
from crawler.page.turns import BYTES_A_TURN, SHORT
from tests.crawler.scripted import html, saying, serving
from tests.crawler.test_crawl import Notes, links_in, write_list

Run = Callable[..., Any]

PAGE = "http://h/dir/page"
SIZE = 1_000_000
EVERYTHING = parse_kinds("a,area,link,iframe,frame,form,src,srcset,refresh,header")


def fill(piece: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return before + piece * ((SIZE - len(before) - len(after)) // len(piece)) + after


HOSTILE = {
    "nested elements": fill(b"<div>", after=b"<a href=/ok>"),
    "nested lists of links": fill(b"<ul><li><a href=/ok>"),
    "formatting elements in disorder": fill(b"<font><u></font>"),
    "attributes of a link": fill(b" a=1", b"<a ", b" href=/ok>"),
    "attributes without values": fill(b" a", b"<p ", b"><a href=/ok>"),
    "one attribute again and again": fill(b" href=/", b"<a href=/ok", b">"),
    "many tags with many attributes": fill(b"<p" + b" a" * 63 + b">"),
    "a tag that never ends": fill(b"<a href=x "),
    "quotes": fill(b'"', b'<a href="/ok" '),
    "equals signs": fill(b"=", b"<a "),
    "values that never end": fill(b'<a href="'),
    "less-than signs": fill(b"<"),
    "ends of nothing": fill(b"</>"),
    "comments that never end": fill(b"<!--"),
    "empty comments": fill(b"<!---->"),
    "dashes": fill(b"-", b"<!--"),
    "comments of dashes": fill(b"<!--" + b"- " * 195 + b"-->"),
    "comments of more dashes": fill(b"<!--" + b"- " * 2000 + b"-->"),
    "scripts of less-than signs": fill(b"<script>" + b"<x" * 195 + b"</script>"),
    "scripts of more of them": fill(b"<script>" + b"<x" * 2000 + b"</script>"),
    "instructions": fill(b"<?>"),
    "scripts in scripts": fill(b"<script>", b"<script><!--"),
    "a script that hardly ends": fill(b"</scrip", b"<script>"),
    "titles that never end": fill(b"<title>"),
    "nested SVG": fill(b"<svg>"),
    "nested groups in SVG": fill(b"<g>", b"<svg>"),
    "wrong ends in SVG": b"<svg>" + b"<g>" * 100_000 + b"</x>" * 100_000,
    "CDATA": fill(b"<![CDATA[]]>", b"<svg>"),
    "nested templates": fill(b"<template>"),
    "nested shadow roots": fill(b"<template shadowrootmode=open>"),
    "character references": fill(b"&ampx", b'<a href="', b'">'),
    "references in many links": fill(b"<a href='?&lt&gt&quot'>"),
    "sources": fill(b"a,", b'<img srcset="', b'">'),
    "many small links": b"".join(b"<a href=%d>" % number for number in range(75_000)),
    "a long refresh": fill(b" ", b'<meta http-equiv=refresh content="', b'">'),
    "numbers in a refresh": fill(b"1", b'<meta http-equiv=refresh content="', b'">'),
    "zeros": fill(b"\0"),
}


def longest_step(steps: Generator[None, None, PageLinks]) -> tuple[float, PageLinks]:
    """The processor's time in the longest of the steps, and what they come to."""
    longest = 0.0
    while True:
        start = time.process_time()
        try:
            next(steps)
        except StopIteration as end:
            return max(longest, time.process_time() - start), end.value
        longest = max(longest, time.process_time() - start)


@pytest.mark.parametrize("xml", [False, True], ids=["HTML", "XHTML"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_takes_time_by_its_length_and_in_short_steps(name: str, xml: bool) -> None:
    start = time.process_time()
    longest, _ = longest_step(link_steps(HOSTILE[name], PAGE, "utf-8", EVERYTHING, xml=xml))
    assert time.process_time() - start < 4  # half a second at most
    assert longest < 0.5  # some milliseconds


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_is_decoded_in_short_steps(name: str) -> None:
    body = HOSTILE[name] + b"\xff"
    longest, _ = longest_step(utf8_steps(body, ""))  # type: ignore[arg-type]
    assert longest < 0.5


@pytest.mark.parametrize("codec", ["utf-8", "shift_jis", "gb18030", "iso-2022-jp", "windows-1252"])
@pytest.mark.parametrize("piece", [b"\xff", b"\x81", b"\x1b$B"])
def test_bytes_that_are_all_wrong_are_decoded_in_short_steps(codec: str, piece: bytes) -> None:
    longest, _ = longest_step(utf8_steps(fill(piece), f"text/html; charset={codec}"))  # type: ignore[arg-type]
    assert longest < 0.5


def test_a_link_is_still_found_where_a_tree_would_be_deep() -> None:
    for name in ("nested elements", "nested lists of links", "attributes of a link"):
        assert find_links(HOSTILE[name], PAGE) == ["http://h/ok"]


@pytest.mark.parametrize(
    "host",
    ["".join(chr(0x4E00 + number) for number in range(10_000)), "a" + "\u0301\u0316" * 5000],
    ids=["ideographs", "marks"],
)
@pytest.mark.parametrize(
    "reference",
    [
        "http://{}/",
        "//{}/",
        "\\\\{}",
        " ht\ntps:\t/{}",
        "https:{}",
        "http://user:x@{}:80/",
        "ftp://{}",
    ],
)
def test_a_host_name_that_cannot_be_one_costs_nothing(host: str, reference: str) -> None:
    reference = reference.format(host)
    assert host_is_too_long(reference)
    page = b"".join(b'<a href="%s%d">' % (reference.encode(), n) for n in range(100))
    start = time.process_time()
    longest, found = longest_step(link_steps(page + b"<a href=/ok>", PAGE, "utf-8"))
    assert time.process_time() - start < 5  # 30 s for the URL library
    assert longest < 0.5
    assert found == (["http://h/ok"], {LINK_TOO_LONG})


@pytest.mark.parametrize(
    "reference",
    [
        "http://" + "b" * 240 + ".example/" + "x" * 1000,
        "http://" + "%C3%BC" * 60 + ".example/",
        "http://" + "u" * 1000 + "@h/",
        "http://" + "b." * 126 + "b:8080/",  # 253 characters and a port
        "http://[::1]:" + "0" * 1000 + "80/",
        "x" * 1000,
        "/" + "ä" * 1000,
        "?" + "//" * 1000,
        "javascript:" + "x" * 1000,
    ],
)
def test_long_references_with_a_usual_host_are_no_such_case(reference: str) -> None:
    assert not host_is_too_long(reference)


def test_a_long_base_does_not_stand_before_each_of_many_links() -> None:
    base = b"<base href='/%s/'>" % (b"x" * (MAX_LINK - 100))
    page = base + b"".join(b"<a href=%d>" % number for number in range(100_000))
    tracemalloc.start()
    try:
        _, found = longest_step(link_steps(page, PAGE, "utf-8"))
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_LINKS_BYTES
    finally:
        tracemalloc.stop()
    assert found.flags == {TOO_MANY_LINKS}
    assert sum(map(len, found.links)) <= MAX_LINKS_BYTES


def test_links_too_long_for_any_server_are_left_out() -> None:
    page = b"<a href='/%s'><a href=/ok><a href='/%s'>" % (b"x" * MAX_LINK, "ä".encode() * 20_000)
    _, found = longest_step(link_steps(page, PAGE, "utf-8"))
    assert found == (["http://h/ok"], {LINK_TOO_LONG})


def test_others_have_their_turn_while_pages_are_read(run: Run) -> None:
    """All pages together get no more of a turn than one does."""

    async def main() -> None:
        turns = Turns()
        ticks = 0
        done = asyncio.Event()

        async def tick() -> None:
            nonlocal ticks
            while not done.is_set():
                ticks += 1
                await asyncio.sleep(0)

        async def read(page: bytes) -> PageLinks:
            return await turns.run(link_steps(page, PAGE, "utf-8"), len(page))

        ticking = asyncio.create_task(tick())
        short = b"<p>" * (SHORT // 3) + b"<a href=/ok>"
        pages = [read(short[-SHORT:]) for _ in range(50)]
        pages += [read(HOSTILE["nested lists of links"][:200_000]) for _ in range(5)]
        found = await asyncio.gather(*pages)
        done.set()
        await ticking
        assert all(page.links == ["http://h/ok"] for page in found)
        assert ticks > 50 * SHORT // BYTES_A_TURN + 5 * 200_000 // BYTES_A_TURN

    run(main)


def test_a_reader_that_is_cancelled_lets_the_next_one_read(run: Run) -> None:
    async def main() -> None:
        turns = Turns()
        page = HOSTILE["nested lists of links"][:200_000]

        async def read() -> PageLinks:
            return await turns.run(link_steps(page, PAGE, "utf-8"), len(page))

        first, second, third = (asyncio.create_task(read()) for _ in range(3))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        assert (await third).links == ["http://h/ok"]
        assert first.cancelled()
        assert second.cancelled()

    run(main)


def test_a_hostile_page_is_crawled_like_any_other(run: Run, tmp_path: Path) -> None:
    body = b"<svg><use xlink:href='#x'/></svg>" + b"<div>" * 100_000 + b"<a href=/ok>"

    async def main(url: str) -> None:
        async with Client() as client:
            urls = write_list(tmp_path, url)
            await crawl(urls, tmp_path / "found.txt", client, Notes(), concurrency=1)

    with serving(saying(html(body, "Content-Type: text/html"))) as server:
        run(main, server.url)
        assert [link for _, link in links_in(tmp_path / "found.txt")] == [f"{server.url}/ok"]


def test_a_long_source_url_counts_with_each_link_that_it_stands_beside() -> None:
    page = b"".join(b"<a href=/%d>" % number for number in range(2_000))
    steps = link_steps(page, "http://example.com/", "utf-8", beside=MAX_LINKS_BYTES // 1_000)
    _, found = longest_step(steps)
    assert 900 < len(found.links) < 1_000
    assert found.flags == {TOO_MANY_LINKS}


def test_a_redirect_to_a_host_name_that_cannot_be_one_costs_nothing(run: Run) -> None:
    location = "Location: http://" + "\u4e00" * 20_000 + "/"
    reply = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n{location}\r\n\r\n".encode()

    async def main(url: str) -> float:
        async with Client() as client:
            started = time.process_time()
            with pytest.raises(RedirectError, match="a host name of more than 253 characters"):
                await client.get(url)
            return time.process_time() - started

    with serving(saying(reply)) as server:
        assert run(main, server.url) < 1  # it was over a second; half a second is for slow machines
