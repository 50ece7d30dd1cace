"""The whole crawl, in this process, against the demo site and when things go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler import fetching
from crawler.crawl import UnexpectedError, crawl
from crawler.demo.site import Addresses, Expectation, Site
from crawler.frontier import Job, Malformed
from crawler.http import BadStatus, Client, HTTPError, Limits, NotHTML, Response
from crawler.summary import Summary
from tests.crawler.scripted import Peer, html, saying, serving

Run = Callable[..., Any]


class Notes:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.pages: dict[str, int] = {}
        self.failures: dict[str, HTTPError] = {}
        self.malformed_lines: list[Malformed] = []

    def page(self, job: Job, response: Response, links: int) -> None:
        self.pages[job.source] = links

    def failure(self, job: Job, error: HTTPError) -> None:
        self.failures[job.source] = error

    def malformed(self, line: Malformed) -> None:
        self.malformed_lines.append(line)


def links_in(path: Path) -> list[tuple[str, ...]]:
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    assert header == "source_url\tparsed_url"
    return [tuple(line.split("\t")) for line in lines]


def trusting(at: Addresses) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=at.ca_file)


def write_list(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("concurrency", [1, 7, 100])
def test_the_whole_site_is_found_and_only_the_known_failures_fail(
    run: Run, tmp_path: Path, site: Site, at: Addresses, concurrency: int
) -> None:
    expected = site.everything(at) if concurrency > 1 else without_waiting(site, at)
    expected.write_list(tmp_path / "urls.txt")
    notes = Notes()

    async def main() -> Summary:
        async with Client(limits=Limits(total=1), tls=trusting(at)) as client:
            return await crawl(
                tmp_path / "urls.txt",
                tmp_path / "found.txt",
                client,
                notes,
                concurrency=concurrency,
            )

    summary = run(main)
    found = links_in(tmp_path / "found.txt")
    assert len(found) == len(set(found))
    assert set(found) == expected.links
    assert summary.failures == expected.failures
    assert summary.pages == len(notes.pages) == expected.pages
    assert summary.links == len(found) == sum(notes.pages.values())
    assert summary.malformed == len(notes.malformed_lines) == expected.malformed_lines
    assert summary.failed == len(notes.failures)
    assert not summary.interrupted


def without_waiting(site: Site, at: Addresses) -> Expectation:
    """The site without the exhibits that take as long as one is patient."""
    expected = site.everything(at)
    slow = [f"{at.http}/silent", f"{at.http}/drip"]
    expected.lines = [line for line in expected.lines if line not in slow]
    del expected.failures["timeout"]
    return expected


def test_the_links_of_a_page_stand_together(
    run: Run, tmp_path: Path, site: Site, at: Addresses
) -> None:
    expected = site.ordinary(at)
    expected.write_list(tmp_path / "urls.txt")

    async def main() -> None:
        async with Client(tls=trusting(at)) as client:
            await crawl(
                tmp_path / "urls.txt", tmp_path / "found.txt", client, Notes(), concurrency=50
            )

    run(main)
    sources = [source for source, _ in links_in(tmp_path / "found.txt")]
    blocks = 1 + sum(one != other for one, other in itertools.pairwise(sources))
    assert blocks == expected.pages


def test_no_more_pages_are_in_work_than_was_said(run: Run, tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.reply(b"<a href=x>", "Content-Type: text/html")

    async def main(url: str) -> None:
        urls = write_list(tmp_path, *(f"{url}/{number}" for number in range(50)))
        async with Client() as client:
            await crawl(urls, tmp_path / "found.txt", client, Notes(), concurrency=3)

    with serving(script) as server:
        run(main, server.url)
    assert len(server.requests) == 50
    assert server.connections == 3


@pytest.mark.parametrize(
    ("reply", "kind", "detail"),
    [
        ("404 Not Found\r\nContent-Type: text/html", BadStatus, "404 Not Found"),
        ("503 Busy", BadStatus, "503 Busy"),
        ("200 OK\r\nContent-Type: application/pdf", NotHTML, "application/pdf"),
        ("200 OK\r\nContent-Type: text/plain; charset=utf-8", NotHTML, "text/plain"),
        ("200 OK\r\nContent-Type: Text/HTML ; charset=utf-8", None, ""),
        ("200 OK\r\nContent-Type: application/xhtml+xml", None, ""),
        ("200 OK", None, ""),
        ("200 OK\r\nContent-Type: text/html,text/html", None, ""),
        ("200 OK\r\nContent-Type: text/html charset=utf-8", None, ""),
        ("200 OK\r\nContent-Type: */*", None, ""),
        ("200 OK\r\nContent-Type: application/xml", NotHTML, "application/xml"),
        ("203 Somebody Else Says", None, ""),
    ],
)
def test_only_successful_html_is_wanted(
    run: Run, tmp_path: Path, reply: str, kind: type[HTTPError] | None, detail: str
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(f"HTTP/1.1 {reply}\r\nContent-Length: 8\r\n\r\n<a href>".encode())

    notes = Notes()

    async def main(url: str) -> None:
        async with Client() as client:
            urls = write_list(tmp_path, url)
            await crawl(urls, tmp_path / "found.txt", client, notes, concurrency=1)

    with serving(script) as server:
        run(main, server.url)
    assert [type(error) for error in notes.failures.values()] == [kind] * bool(kind)
    assert len(notes.pages) == (not kind)
    assert all(detail in error.detail for error in notes.failures.values())


def test_a_body_without_a_type_that_is_no_text_is_no_page(run: Run, tmp_path: Path) -> None:
    notes = Notes()

    async def main(url: str) -> None:
        async with Client() as client:
            urls = write_list(tmp_path, url)
            await crawl(urls, tmp_path / "found.txt", client, notes, concurrency=1)

    with serving(saying(html(b"GIF89a\x01\x00<a href=/x>"))) as server:
        run(main, server.url)
    (error,) = notes.failures.values()
    assert isinstance(error, NotHTML)
    assert error.detail == "no content type, and the body is no text"


def test_all_kinds_of_links_can_be_asked_for_those_in_the_head_too(
    run: Run, tmp_path: Path
) -> None:
    page = html(
        b"<img src=/i><iframe src=/f></iframe><a href=/a>",
        "Content-Type: text/html",
        "Link: </next>; rel=next",
        "Refresh: 1; url=/later",
    )

    async def main(url: str) -> None:
        async with Client() as client:
            await crawl(
                write_list(tmp_path, url),
                tmp_path / "found.txt",
                client,
                Notes(),
                concurrency=1,
                kinds=frozenset({"header", "refresh", "iframe"}),
            )

    with serving(saying(page)) as server:
        run(main, server.url)
        wanted = [f"{server.url}/{name}" for name in ("next", "later", "f")]
    assert [link for _, link in links_in(tmp_path / "found.txt")] == wanted


def test_a_bug_stops_one_url_alone_and_says_what_it_is(
    run: Run, tmp_path: Path, site: Site, at: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fetching.link_steps

    def buggy(page: bytes, url: str, *rest: Any, **named: Any) -> Any:
        if url.endswith("/page/0"):
            raise ZeroDivisionError("a bug")
        return real(page, url, *rest, **named)

    monkeypatch.setattr(fetching, "link_steps", buggy)
    notes = Notes()

    async def main() -> Summary:
        async with Client() as client:
            urls = write_list(tmp_path, *(f"{at.http}/page/{number}" for number in range(3)))
            return await crawl(urls, tmp_path / "found.txt", client, notes, concurrency=2)

    summary = run(main)
    assert (summary.pages, summary.failures) == (2, {"internal error": 1})
    (error,) = notes.failures.values()
    assert isinstance(error, UnexpectedError)
    assert error.detail == "ZeroDivisionError: a bug"
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_a_crawl_that_is_cancelled_writes_what_it_found_and_its_summary_agrees(
    run: Run, tmp_path: Path, site: Site, at: Addresses
) -> None:
    expected = site.ordinary(at)
    expected.write_list(tmp_path / "urls.txt")

    async def main(pages: int) -> None:
        summary = Summary()
        notes = Notes()
        async with Client(tls=trusting(at)) as client:
            crawling = asyncio.create_task(
                crawl(
                    tmp_path / "urls.txt",
                    tmp_path / "found.txt",
                    client,
                    notes,
                    concurrency=5,
                    summary=summary,
                )
            )
            while summary.pages < pages:
                await asyncio.sleep(0)
            crawling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await crawling
            assert client.pool.open_connections == client.pool.idle_connections
        found = links_in(tmp_path / "found.txt")
        assert len(found) == summary.links
        assert set(found) == {link for link in expected.links if link[0] in notes.pages}
        assert pages <= summary.pages < expected.pages
        assert summary.seconds > 0

    for pages in (1, 10, 50, 100):
        run(main, pages)


def test_a_list_that_is_not_there_is_an_os_error(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with Client() as client:
            await crawl(
                tmp_path / "nothing", tmp_path / "found.txt", client, Notes(), concurrency=1
            )

    with pytest.raises(FileNotFoundError):
        run(main)


def test_a_full_disk_ends_the_crawl(run: Run, tmp_path: Path, at: Addresses) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")

    async def main() -> None:
        async with Client() as client:
            await crawl(write_list(tmp_path, at.http), full, client, Notes(), concurrency=2)

    with pytest.raises(OSError):  # noqa: PT011 - truncating or writing it, as the kernel likes
        run(main)
