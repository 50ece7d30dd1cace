"""The pages of the site that lead elsewhere, and those that fail, each in its own way.

An exhibit says what the server does and what must come of it: the links found, or the reason under
which the failure is counted (crawler.http.errors has the list of reasons).
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .answers import Answer, Ending, head, reply

HTML = {"Content-Type": "text/html; charset=utf-8"}
MEBIBYTE = 1024 * 1024
# Above the crawler's default limit of 10 MiB.
HUGE = 16 * MEBIBYTE


class Exhibit(NamedTuple):
    """``links`` are relative to {origin}, the place where the page is found in the end."""

    path: str
    answer: Answer
    reason: str | None = None
    links: tuple[str, ...] = ()
    # False for what only another exhibit leads to: it is served and not listed.
    listed: bool = True


ROBOTS = b"User-agent: *\nDisallow: /up\nAllow: /up%205$\n"


def exhibits(https: str) -> Iterator[Exhibit]:
    """All of them; ``https`` is the origin of the site's TLS half."""
    robots = reply(200, {"Content-Type": "text/plain"}, ROBOTS)
    yield Exhibit("/robots.txt", robots, listed=False)
    yield from _redirects(https)
    yield from _failures()


def _redirects(https: str) -> Iterator[Exhibit]:
    target = reply(200, HTML, b'<a href="found">found</a> <a href="/page/1">page 1</a>')
    yield Exhibit("/goal/", target, links=("{origin}/goal/found", "{origin}/page/1"))
    found = ("{origin}/goal/found", "{origin}/page/1")
    for status in (301, 302, 303, 307, 308):
        yield Exhibit(f"/moved/{status}", _redirect(status, "/goal/"), links=found)
    yield Exhibit("/moved/relative", _redirect(302, "../goal/"), links=found)
    yield Exhibit("/moved/twice", _redirect(302, "/moved/301"), links=found)
    yield Exhibit(
        "/moved/to-https",
        _redirect(302, f"{https}/goal/"),
        links=(f"{https}/goal/found", f"{https}/page/1"),
    )
    yield Exhibit("/moved/circle", _redirect(302, "/moved/circle/2"), "redirect")
    yield Exhibit("/moved/circle/2", _redirect(302, "/moved/circle"), listed=False)
    yield Exhibit("/moved/nowhere", reply(302, {}, b""), "redirect")
    yield Exhibit("/moved/to-mail", _redirect(302, "mailto:someone@example.com"), "redirect")
    yield Exhibit("/moved/far/1", _redirect(302, "/moved/far/2"), "redirect")
    for step in range(2, 12):
        answer = _redirect(302, f"/moved/far/{step + 1}")
        yield Exhibit(f"/moved/far/{step}", answer, listed=False)


def _failures() -> Iterator[Exhibit]:
    yield Exhibit("/missing", reply(404, HTML, b'<a href="/not-to-be-found">'), "status")
    yield Exhibit("/broken", reply(500, HTML, b"oh"), "status")
    yield Exhibit("/picture", reply(200, {"Content-Type": "image/png"}, b"\x89PNG"), "not HTML")
    cut = reply(200, HTML, b'<a href="/cut-off">' + b"." * 10_000)
    yield Exhibit("/dropped", Answer(cut.data[:5_000], Ending.CLOSE), "connection lost")
    yield Exhibit("/reset", Answer(b"", Ending.RESET), "connection lost")
    yield Exhibit("/silent", Answer(b"", Ending.HANG), "timeout")
    endless = head(200, {**HTML, "Content-Length": "100000"})
    yield Exhibit("/drip", Answer(endless, Ending.DRIP), "timeout")
    huge = head(200, {**HTML, "Content-Length": str(HUGE)})
    yield Exhibit("/huge", Answer(huge + b"." * 1_000, Ending.HANG), "too large")
    bomb = zlib.compress(b" " * HUGE)
    yield Exhibit("/bomb", reply(200, {**HTML, "Content-Encoding": "deflate"}, bomb), "too large")
    garbage = Answer(b"220 this is not the server you are looking for\r\n\r\n", Ending.CLOSE)
    yield Exhibit("/garbage", garbage, "protocol")
    false_gzip = reply(200, {**HTML, "Content-Encoding": "gzip"}, b"<a href='/plain-after-all'>")
    yield Exhibit("/false-gzip", false_gzip, "content encoding")


def _redirect(status: int, location: str) -> Answer:
    return reply(status, {"Location": location, "Content-Type": "text/html"}, b"<p>Moved.</p>")
