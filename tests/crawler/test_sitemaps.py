"""Sitemaps: in XML, in text, packed, in indexes, and whatever else stands at their address."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.crawl import Manners
from crawler.frontier import Scope, Sitemap
from tests.crawler.scripted import anchors, asked, pages, serving
from tests.crawler.test_crawl import Notes
from tests.crawler.test_following import follow

Run = Callable[..., Any]


def urlset(*urls: str) -> bytes:
    return (
        '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
        + "".join(f"<url><loc>{url}</loc><lastmod>2024-01-01</lastmod></url>\n" for url in urls)
        + "</urlset>"
    ).encode()


XML = urlset("http://a/?x=1&amp;y=2", "\n http://a/b\n", "<![CDATA[http://a/c?x&y]]>")
EXPECTED = ["http://a/?x=1&y=2", "http://a/b", "http://a/c?x&y"]


@pytest.mark.parametrize("size", [1, 2, 7, 100, 100_000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(XML, EXPECTED, id="XML"),
        pytest.param(b"\xef\xbb\xbf\n" + XML, EXPECTED, id="with a mark"),
        pytest.param(re.sub(rb"(</?)(\w)", rb"\1sm:\2", XML), EXPECTED, id="with a prefix"),
        pytest.param(b"http://a/\r\n\n http://b/ \nhttp://c/", ["http://a/", "http://b/", "http://c/"],
                     id="text"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"<html><loc", [], id="something else"),
        pytest.param(b"\xef\xbb\xbfhttp://a/\rhttp://b/", ["http://a/", "http://b/"], id="marked"),
        pytest.param("\ufeffhttp://a/\n".encode("utf-16-le"), ["http://a/"], id="text in UTF-16"),
        pytest.param("\ufeff".encode("utf-16-be") + XML.decode().encode("utf-16-be"), EXPECTED,
                     id="UTF-16"),
        pytest.param('<?xml version="1.0" encoding="koi8-r"?><u><loc>ж</loc>'.encode("koi8-r"),
                     ["ж"], id="another encoding"),
        pytest.param(urlset("a</loc><image:image><image:loc>b</image:loc></image:image><loc>c"),
                     ["a", "c"], id="pictures"),
        pytest.param(b"<!-- <sitemapindex><loc>http://no/</loc> -->" + urlset("a"), ["a"],
                     id="commented out"),
        pytest.param(urlset("<![CDATA[http://a/?b[]=1&c]]>"), ["http://a/?b[]=1&c"], id="CDATA"),
        pytest.param(urlset("http://a/?b&copy=1&section=2&#x26;&lt;"), ["http://a/?b&copy=1&section=2&<"],
                     id="no entities of HTML"),
        pytest.param(b"<!DOCTYPE x [<!ENTITY a 'http://no/'>]>" + urlset("http://a/", "&a;&b;"),
                     ["http://a/", "&a;&b;"], id="entities of its own"),
        pytest.param(b"<urlset><url><loc xml:lang='>'> <?x ><?>http://a/</loc>", ["http://a/"],
                     id="with attributes"),
        pytest.param(b"<?xml version='1.0'?><rss><channel><link>http://a/</link><atom:link/>"
                     b"<item><link>http://b/", ["http://a/"], id="RSS"),
        pytest.param(b"<feed><link rel='self' href='http://no/'/><entry>"
                     b"<link href='http://a/?b&amp;c'/></entry>", ["http://a/?b&c"], id="Atom"),
    ],
)  # fmt: skip
def test_addresses_are_found_however_they_come(data: bytes, expected: list[str], size: int) -> None:
    sitemap = Sitemap()
    found = [
        text
        for start in range(0, len(data), size)
        for text in sitemap.feed(data[start : start + size])
    ]
    found += sitemap.feed(b"", last=True)
    assert found == expected
    assert not sitemap.is_index


def test_all_members_of_a_gzip_file_are_read_and_a_file_cut_short_is_told(
    run: Run, tmp_path: Path
) -> None:
    answers = {"/": b"", "/a": b"", "/b": b"", "/c": b""}
    with serving(pages(answers)) as server:
        url = server.url
        packed = gzip.compress(f"{url}/a\n".encode()) + gzip.compress(f"{url}/b\n".encode())
        answers["/two.gz"] = _text(packed + b"\0" * 512)
        answers["/cut.gz"] = _text(gzip.compress(urlset(f"{url}/c", *map(str, range(999))))[:-100])
        answers["/robots.txt"] = _text(b"Sitemap: /two.gz\nSitemap: /cut.gz")
        scope = Scope(same_host=True, sitemaps=True)
        summary = run(lambda: follow(tmp_path, url, scope=scope))
        assert {"/a", "/b", "/c"} <= set(asked(server))
    assert summary.failures == {"content encoding": 1}


def _text(body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_site_is_crawled_by_its_sitemaps(run: Run, tmp_path: Path) -> None:
    answers: dict[str, bytes] = {}
    with serving(pages(answers)) as server:
        url = server.url
        index = urlset(f"{url}/one.xml.gz", f"{url}/two.txt", f"{url}/index.xml", f"{url}/gone.xml")
        one = urlset(f"{url}/a", f"{url}/b#c", "http://else.invalid/")
        here = url.encode()
        answers |= {
            "/robots.txt": _text(b"User-agent: *\nDisallow: /no\nSitemap: %b/index.xml\n" % here),
            "/index.xml": index.replace(b"urlset", b"sitemapindex"),
            "/one.xml.gz": _text(gzip.compress(one)),
            "/two.txt": _text(f"{url}/a\n{url}/no\n{url}/d\nnonsense".encode()),
            "/": anchors("/linked"),
            "/a": anchors("/linked"), "/b": b"", "/d": b"",
        }  # fmt: skip
        notes = Notes()
        summary = run(
            lambda: follow(
                tmp_path,
                url,
                scope=Scope(same_host=True, sitemaps=True),
                manners=Manners(robots="crawler"),
                notes=notes,
            )
        )
        assert sorted(asked(server)) == [
            "/", "/a", "/b", "/d", "/gone.xml", "/index.xml", "/one.xml.gz", "/robots.txt",
            "/two.txt",
        ]  # fmt: skip
    assert (summary.pages, summary.disallowed) == (4, 1)
    assert summary.failures == {"status": 1}
    assert list(notes.failures) == [f"{url}/gone.xml"]


def test_what_a_sitemap_lists_is_where_links_are_counted_from(run: Run, tmp_path: Path) -> None:
    answers = {"/": b"", "/a": anchors("/b"), "/b": anchors("/c")}
    with serving(pages(answers)) as server:
        answers["/robots.txt"] = _text(b"Sitemap: /map.txt")  # relative, as it must not be
        answers["/map.txt"] = _text(f"{server.url}/a".encode())
        scope = Scope(depth=1, same_host=True, sitemaps=True)
        run(lambda: follow(tmp_path, server.url, scope=scope))
        assert sorted(asked(server)) == ["/", "/a", "/b", "/map.txt", "/robots.txt"]


def test_a_sitemap_that_is_a_bomb_or_cut_short_does_no_harm(run: Run, tmp_path: Path) -> None:
    answers = {"/": b"", "/robots.txt": _text(b"Sitemap: /bomb.gz\nSitemap: /cut.gz")}
    answers["/bomb.gz"] = _text(gzip.compress(b"<" + b"x" * 60 * 1024 * 1024))
    answers["/cut.gz"] = _text(gzip.compress(b"http://a/" * 9999)[:-100])
    with serving(pages(answers)) as server:
        scope = Scope(same_host=True, sitemaps=True)
        assert run(lambda: follow(tmp_path, server.url, scope=scope)).pages == 1
