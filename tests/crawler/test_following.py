"""Crawls that follow links: against the demo site, and against servers that make it difficult."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crawler.crawl import Manners, crawl
from crawler.demo.site import Addresses, Site
from crawler.fetching import Departures, keep_timings
from crawler.frontier import Guard, Robots, Scope
from crawler.http import URL, Client, Limits
from crawler.output import FORMATS
from crawler.summary import Summary
from tests.crawler.scripted import Peer, anchors, asked, pages, serving
from tests.crawler.test_crawl import Notes, links_in, trusting

Run = Callable[..., Any]

NEAR = Scope(depth=9, same_host=True)


async def follow(
    tmp_path: Path,
    *urls: str | Path,
    scope: Scope = NEAR,
    notes: Notes | None = None,
    private: bool = True,
    concurrency: int = 20,
    client: Client | None = None,
    **named: Any,
) -> Summary:
    guard = Guard()
    permit = None if private else guard.permit
    async with client or Client(permit=permit, limits=Limits(total=5)) as client:
        return await crawl(
            urls[0] if isinstance(urls[0], Path) else [str(url) for url in urls],
            tmp_path / "found.txt",
            client,
            notes or Notes(),
            concurrency=concurrency,
            scope=scope,
            guard=guard,
            **named,
        )


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_demo_site_is_followed_as_deep_as_was_said(
    run: Run, tmp_path: Path, site: Site, at: Addresses, depth: int
) -> None:
    expected = site.within(at, depth)
    notes = Notes()

    async def main() -> Summary:
        return await follow(
            tmp_path,
            f"{at.http}/page/0",
            scope=Scope(depth=depth, allow=(re.compile(re.escape(at.http)),)),
            notes=notes,
            client=Client(limits=Limits(total=5), tls=trusting(at)),
            manners=Manners(robots="crawler"),
        )

    summary = run(main)
    found = links_in(tmp_path / "found.txt")
    assert set(found) == expected.links
    assert len(found) == len(set(found))
    assert (summary.pages, summary.failures) == (expected.pages, expected.failures)
    assert summary.disallowed == expected.disallowed


def test_seed_mode_follows_nothing(run: Run, tmp_path: Path) -> None:
    with serving(pages({"/": anchors("/a")})) as server:
        run(lambda: follow(tmp_path, server.url, scope=Scope()))
        assert asked(server) == ["/"]


def test_a_page_is_fetched_once_by_whatever_name_it_goes(run: Run, tmp_path: Path) -> None:
    answers = {"/a": anchors("/", "/a")}
    with serving(pages(answers)) as server:
        names = ("/", "/#top", "/a", "/a#b", "/x/../a", "./a", server.url.upper() + "/a")
        answers["/"] = anchors(*names)
        run(lambda: follow(tmp_path, server.url, server.url + "/#again"))
        assert sorted(asked(server)) == ["/", "/a"]


def test_what_the_list_names_needs_no_leave_and_links_do(run: Run, tmp_path: Path) -> None:
    answers = {
        "/robots.txt": _text(b"User-agent: *\nDisallow: /no\nAllow: /no/but-this\n"),
        "/no/named": anchors("/no/way", "/no/but-this", "/yes"),
    }
    notes = Notes()
    with serving(pages(answers)) as server:
        summary = run(
            lambda: follow(
                tmp_path, f"{server.url}/no/named", notes=notes, manners=Manners(robots="crawler")
            )
        )
        assert sorted(asked(server)) == ["/no/but-this", "/no/named", "/robots.txt", "/yes"]
    assert summary.disallowed == 1
    assert f"{server.url}/no/way" not in notes.failures


def _text(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("robots", "fetched"),
    [
        pytest.param(_text(b"", "404 Not Found"), True, id="there is none"),
        pytest.param(_text(b"", "403 Forbidden"), True, id="it is forbidden"),
        pytest.param(_text(b"", "500 Oh"), False, id="the server is broken"),
        pytest.param(_text(b"", "429 Slowly"), False, id="not now"),
        pytest.param(_text(b"\xef\xbb\xbfUser-agent: *\nDisallow: /"), False, id="with a mark"),
        pytest.param(_text(b"user-agent: CRAWLER\ndisallow: /\n"), False, id="by name"),
        pytest.param(_text(b"User-agent: Crawler/2.0 x\nDisallow: /"), False, id="by a version"),
        pytest.param(_text(b"User-agent: other\nDisallow: /"), True, id="for somebody else"),
        pytest.param(_text(b"User-agent craw\nDisallow: /"), True, id="for a part of the name"),
        pytest.param(_text(b"User-agent: x\nDisallow: /"), True, id="for a part of the address"),
        pytest.param(_text(b"", "302 Found\r\nLocation: /robots.txt"), True, id="a circle"),
        pytest.param(
            _text("User-agent: *\nDisallow: /\u2028b\nDisallow: /\x0cb".encode()), True, id="lines"
        ),
        pytest.param(
            _text(b"User-agent: *\nDisallow: /\n\nUser-agent: crawler\nAllow: /"), True, id="better"
        ),
        pytest.param(_text(b"<html>not a robots.txt" * 99), True, id="nonsense"),
        pytest.param(_text(b"\0\xff" * 9999), True, id="rubbish"),
        pytest.param(
            _text(b"# long\n" * 80_000 + b"User-agent: *\nDisallow: /"), True, id="after 500 KiB"
        ),
        pytest.param(
            _text(b"User-agent: *\nDisallow: /\n" + b"# long\n" * 80_000), False, id="before that"
        ),
        pytest.param(
            _text(b"User-agent: *\n" + b"Disallow: /" + b"*a" * 9_000 + b"b$\nDisallow: /"),
            False,
            id="a rule that would take for ever",
        ),
    ],
)
def test_robots_txt_is_read_as_the_rfc_says(
    run: Run, tmp_path: Path, robots: bytes, fetched: bool
) -> None:
    answers = {"/robots.txt": robots, "/": anchors("/" + "a" * 900)}
    with serving(pages(answers)) as server:
        run(lambda: follow(tmp_path, server.url, manners=Manners(robots="crawler/1.0 (+http://x)")))
        assert ("/" + "a" * 900 in asked(server)) == fetched
        assert asked(server).count("/robots.txt") == 1


def test_looking_for_many_patterns_in_a_long_url_does_not_hold_the_loop(run: Run) -> None:
    async def check(url: str) -> int:
        async with Client() as client:
            rules = await Robots(client, "crawler").rules(URL(url))
            checked = asyncio.create_task(rules.check(URL(f"{url}/{'a' * 30_000}")))
            turns = 0
            while not checked.done():
                await asyncio.sleep(0)
                turns += 1
            await checked
            return turns

    patterns = b"".join(b"Allow: *%dx$\n" % number for number in range(9999))
    with serving(pages({"/robots.txt": _text(b"User-agent: *\n" + patterns)})) as server:
        assert run(lambda: check(server.url)) > 1


def test_a_server_without_robots_txt_because_there_is_no_server_is_a_failure(
    run: Run, tmp_path: Path, at: Addresses
) -> None:
    page = anchors(f"{at.nobody}/a", f"{at.nobody}/b", "http://no-such-host.invalid/")
    notes = Notes()
    with serving(pages({"/": page})) as server:
        scope, manners = Scope(depth=1), Manners(robots="crawler")
        summary = run(
            lambda: follow(tmp_path, server.url, scope=scope, manners=manners, notes=notes)
        )
    assert summary.failures == {"refused": 2, "DNS": 1}
    assert summary.disallowed == 0


def test_a_crawl_delay_is_kept(run: Run, tmp_path: Path) -> None:
    answers = {
        "/robots.txt": _text(b"User-agent: *\nCrawl-delay: 0.2\n"),
        "/": anchors("/a", "/b", "/c", "/d"),
    }

    async def main(url: str) -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await follow(tmp_path, url, manners=Manners(robots="crawler", per_host=1))
        return loop.time() - started

    with serving(pages(answers)) as server:
        assert run(main, server.url) >= 0.6


def test_a_busy_server_is_asked_again_later(run: Run, tmp_path: Path) -> None:
    refused = []
    # All three are in work when the first is refused: what comes later would be refused in its
    # turn, and the host be left alone again, for twice as long.
    together = threading.Barrier(3)

    def script(peer: Peer) -> None:
        while head := peer.request():
            path = head.split(b" ")[1]
            if path == b"/":
                peer.reply(anchors("/a", "/b", "/c"), "Content-Type: text/html")
            elif path not in refused and path != b"/robots.txt":
                refused.append(path)
                together.wait(timeout=20)
                peer.reply(b"", "Retry-After: 0", status="503 Busy")
            else:
                peer.reply(b"hello", "Content-Type: text/html")

    with serving(script) as server:
        summary = run(lambda: follow(tmp_path, server.url, manners=Manners(repeats=1)))
    assert (summary.pages, summary.failed) == (4, 0)
    assert sorted(refused) == [b"/a", b"/b", b"/c"]


def test_a_server_that_stays_busy_is_a_failure_in_the_end(run: Run, tmp_path: Path) -> None:
    notes = Notes()
    with serving(pages({"/": _text(b"", "429 Slowly")})) as server:
        summary = run(lambda: follow(tmp_path, server.url, notes=notes, manners=Manners(repeats=1)))
        assert asked(server) == ["/", "/"]
    assert summary.failures == {"status": 1}


def test_a_slow_host_does_not_hold_the_others_back(run: Run, tmp_path: Path) -> None:
    """A host whose pages never come has thousands of them at the head of the list."""

    def silent(peer: Peer) -> None:
        while peer.request():
            pass

    async def main(slow: str, quick: str) -> list[str]:
        notes = Notes()
        urls = [f"{slow}/{number}" for number in range(5_000)] + [f"{quick}/"]
        (tmp_path / "urls.txt").write_text("\n".join(urls))
        crawling = asyncio.create_task(
            follow(tmp_path, tmp_path / "urls.txt", notes=notes, concurrency=10, client=Client())
        )
        async with asyncio.timeout(20):
            while len(notes.pages) < 5:
                await asyncio.sleep(0.01)
        crawling.cancel()
        await asyncio.wait({crawling})
        return sorted(notes.pages)

    answers = {"/": anchors("/a", "/b"), "/a": anchors("/c"), "/c": anchors("/d"), "/d": b"d"}
    answers["/b"] = b"b"
    with serving(silent) as slow, serving(pages(answers)) as quick:
        # One address, two names: what counts is the name.
        name = quick.url.replace("127.0.0.1", "localhost")
        got = run(main, slow.url, name)
    assert got == [f"{name}{path}" for path in ("/", "/a", "/b", "/c", "/d")]


def test_traps_come_to_an_end(run: Run, tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        while head := peer.request():
            path = head.split(b" ")[1].decode()
            if path.startswith("/moved"):
                peer.reply(b"", f"Location: {path}x", status="302 Found")
            else:
                peer.reply(
                    anchors("deeper/x/", "?" + "x" * 1990, "/moved"), "Content-Type: text/html"
                )

    with serving(script) as server:
        summary = run(lambda: follow(tmp_path, server.url, scope=Scope(depth=1_000)))
    assert summary.failures == {"redirect": 1}
    assert summary.redirected == 10
    assert summary.pages == 4


def test_pages_are_bounded_in_all_and_by_host(run: Run, tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        while head := peer.request():
            number = int(head.split(b" ")[1].strip(b"/") or b"0")
            links = (f"/{number * 10 + place}" for place in range(1, 9))
            peer.reply(anchors(*links), "Content-Type: text/html")

    for bound in (replace(NEAR, max_pages=30), replace(NEAR, max_per_host=30)):
        with serving(script) as server:
            assert run(lambda: follow(tmp_path, server.url, scope=bound)).pages == 30  # noqa: B023
            assert len(server.requests) == 30


def test_a_redirect_of_a_link_is_a_way_to_a_page_of_its_own(run: Run, tmp_path: Path) -> None:
    answers = {
        "/": anchors("/old", "/old2", "/out", "/lost"),
        "/old": _moved("/new"),
        "/old2": _moved("/new"),
        "/out": _moved("http://example.invalid/"),
        "/lost": _moved("mailto:a@b"),
        "/new": anchors("/x"),
    }
    with serving(pages(answers)) as server:
        scope = replace(NEAR, depth=1)
        summary = run(lambda: follow(tmp_path, server.url, scope=scope, form=FORMATS["jsonl"]))
        assert sorted(asked(server)) == ["/", "/lost", "/new", "/old", "/old2", "/out"]
        records = _records(tmp_path / "found.txt")
    assert summary.redirected == 3
    assert records[f"{server.url}/old"]["status"] == records[f"{server.url}/lost"]["status"] == 302
    assert records[f"{server.url}/old"]["final_url"] == f"{server.url}/new"
    assert records[f"{server.url}/new"]["depth"] == 1
    assert records[f"{server.url}/new"]["links"] == [f"{server.url}/x"]


def _moved(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode()


def _records(path: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {record["url"]: record for record in found}


def test_where_the_list_leads_to_belongs_to_the_crawl(run: Run, tmp_path: Path) -> None:
    with serving(pages({"/": anchors("/a"), "/a": b""})) as there:
        name = there.url.replace("127.0.0.1", "localhost")
        with serving(pages({"/": _moved(name)})) as here:
            summary = run(lambda: follow(tmp_path, here.url, f"{name}/"))
        assert sorted(asked(there)) == ["/", "/", "/a"] or sorted(asked(there)) == ["/", "/a"]
    assert summary.pages >= 2


def test_links_and_redirects_do_not_reach_private_addresses(run: Run, tmp_path: Path) -> None:
    with serving(pages({"/": b"secret"})) as secret:
        name = secret.url.replace("127.0.0.1", "localhost")
        answers = {"/": anchors(name, "/moved"), "/moved": _moved(name)}
        with serving(pages(answers)) as server:
            notes = Notes()
            listed = (server.url, f"{server.url}/moved")
            scope = Scope(depth=2)
            run(lambda: follow(tmp_path, *listed, scope=scope, notes=notes, private=False))
            assert not secret.requests
            assert {error.reason for error in notes.failures.values()} == {"connect"}
            run(lambda: follow(tmp_path, server.url, name, scope=scope, private=False))
            assert asked(secret) == ["/"]


def test_a_record_says_all_there_is_to_say(run: Run, tmp_path: Path) -> None:
    answers = {
        "/": _moved("/page"),
        "/page": b"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=koi8-r\r\n"
        b"Content-Length: 12\r\nX-Odd : 1\r\n\r\n<a href=/\xc1\xc2>",
        "/gone": _text(b"", "410 Gone"),
        "/went": _moved("/gone"),
        "/lost": b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    }

    nowhere = "http://no-such-host.invalid/"

    async def main(url: str) -> None:
        client = Client(trace=keep_timings)
        urls = (f"{url}/", *(url + path for path in ("/gone", "/went", "/lost")), nowhere)
        await follow(tmp_path, *urls, scope=Scope(), client=client, form=FORMATS["jsonl"])

    with serving(pages(answers)) as server:
        run(main, server.url)
    records = _records(tmp_path / "found.txt")
    page = records[f"{server.url}/"]
    timings = page.pop("timings")
    assert page.pop("seconds") > 0
    assert 0 <= time.time() - page.pop("time") < 60
    assert page == {
        "url": f"{server.url}/",
        "depth": 0,
        "status": 200,
        "final_url": f"{server.url}/page",
        "redirects": [f"{server.url}/"],
        "type": "text/html",
        "charset": "koi8-r",
        "size": 12,
        "decoded_size": 12,
        "flags": ["mended head"],
        "links": [f"{server.url}/%D0%B0%D0%B1"],
        "error": "",
        "detail": "",
    }
    assert {"acquire", "connect_tcp", "send_request", "receive_head", "redirect"} <= timings.keys()
    gone, lost = f"{server.url}/gone", f"{server.url}/lost"
    names = ("status", "error", "redirects", "final_url")
    assert {url: tuple(record[name] for name in names) for url, record in records.items()} == {
        page["url"]: (200, "", page["redirects"], page["final_url"]),
        gone: (410, "status", [], gone),
        f"{server.url}/went": (410, "status", [f"{server.url}/went"], gone),
        lost: (302, "redirect", [], lost),
        nowhere: (None, "DNS", [], nowhere),
    }


def test_records_as_a_table_are_what_a_spreadsheet_reads(run: Run, tmp_path: Path) -> None:
    import csv

    with serving(pages({"/": anchors("/a,b", "/&quot;c"), "/a,b": b"x"})) as server:
        run(lambda: follow(tmp_path, server.url, form=FORMATS["csv"]))
    with (tmp_path / "found.txt").open(newline="", encoding="utf-8") as file:
        rows = {row["url"]: row for row in csv.DictReader(file)}
    assert rows[server.url]["links"].split() == [f"{server.url}/a,b", f"{server.url}/%22c"]
    assert rows[f"{server.url}/a,b"]["status"] == "200"
    assert rows[f"{server.url}/%22c"]["error"] == "status"


def test_the_frontier_is_told_when_each_request_is_sent(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("crawler.frontier.order.Order.sent", lambda order, host: told.append(host))

    async def main(url: str) -> None:
        departures = Departures()
        client = Client(trace=departures, limits=Limits(total=5))
        await follow(tmp_path, f"{url}/a", f"{url}/b", client=client, departures=departures)

    with serving(pages({"/a": b"", "/b": b""})) as server:
        run(main, server.url)
    # At the beginning and at the end of each.
    assert told == [URL(server.url).host] * 4
