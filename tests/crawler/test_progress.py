"""What progress looks like when it is not on a terminal, line by line."""

from __future__ import annotations

import asyncio
import io
from typing import cast

import pytest

from crawler.crawl import UnexpectedError
from crawler.fetching import Visit
from crawler.frontier import Job, Malformed
from crawler.http import URL, BadStatus, Response
from crawler.live import LiveView
from crawler.progress import NoProgress, PlainProgress
from crawler.view import progress
from miniloop.testing import run

JOB = Job("http://a/", URL("http://a/"))
RESPONSE = cast(Response, None)  # progress looks only at the number of links


def test_a_line_appears_every_five_seconds_whatever_is_done_meanwhile() -> None:
    stream = io.StringIO()

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        with PlainProgress("urls.txt", 2000, stream, clock) as plain:
            for _second in range(6):
                for _ in range(100):
                    plain.page(JOB, RESPONSE, 3)
                await asyncio.sleep(1)
            await asyncio.sleep(10)  # as while all hosts rest
        await asyncio.sleep(10)

    run(main())
    assert stream.getvalue().splitlines() == [
        "500 of 2,000 done, 1,500 links, 0 failed, 100/s",
        "600 of 2,000 done, 1,800 links, 0 failed, 20/s",
        "600 of 2,000 done, 1,800 links, 0 failed, 0/s",
    ]


def test_a_list_of_unknown_length_has_no_total_and_quiet_is_quiet() -> None:
    stream = io.StringIO()

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        with (
            PlainProgress("urls.txt", None, stream, clock) as plain,
            NoProgress("urls.txt", None, stream, clock),
        ):
            plain.page(JOB, RESPONSE, 1)
            await asyncio.sleep(6)

    run(main())
    assert stream.getvalue() == "1 done, 1 links, 0 failed, 0/s\n"


def test_failures_and_malformed_lines_appear_at_once() -> None:
    stream = io.StringIO()
    plain = PlainProgress("urls.txt", None, stream)
    plain.failure(JOB, BadStatus("http://a/", 404, "Not Found"))
    plain.malformed(Malformed(7, "a\tb", "a space or control character inside the URL"))
    assert stream.getvalue().splitlines() == [
        "FAILED http://a/: status: 404 Not Found",
        "urls.txt:7: not a URL: 'a\\tb': a space or control character inside the URL",
    ]


def test_a_bug_comes_with_its_traceback() -> None:
    stream = io.StringIO()
    plain = PlainProgress("urls.txt", None, stream)
    try:
        raise ZeroDivisionError("a bug")
    except ZeroDivisionError as cause:
        error = UnexpectedError("http://a/", "ZeroDivisionError: a bug")
        error.__cause__ = cause
    plain.failure(JOB, error)
    text = stream.getvalue()
    assert text.startswith("FAILED http://a/: internal error: ZeroDivisionError: a bug\n")
    assert "Traceback (most recent call last):" in text
    assert 'raise ZeroDivisionError("a bug")' in text


@pytest.mark.parametrize(
    ("terminal", "term", "options", "kind"),
    [
        (True, "xterm", {}, LiveView),
        (True, "xterm", {"verbose": True}, LiveView),
        (True, "dumb", {}, PlainProgress),
        (False, "xterm", {}, PlainProgress),
        (True, "xterm", {"quiet": True}, NoProgress),
    ],
)
def test_a_terminal_that_can_gets_the_live_view_and_nothing_else_does(
    terminal: bool,
    term: str,
    options: dict[str, bool],
    kind: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", term)
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    assert type(progress("urls.txt", 3, stream, **options)) is kind


def visit(url: str = "http://h/", seconds: float = 0.25) -> Visit:
    made = Visit(Job(url, URL(url)))
    made.seconds = seconds
    made.links = ["http://h/a"]
    return made


def test_verbose_says_a_line_about_each_page() -> None:
    stream = io.StringIO()
    plain = PlainProgress("urls.txt", None, stream, verbose=True)
    assert plain.watches
    plain.over(visit(), 0)
    failed = visit()
    failed.error = BadStatus("http://h/", 404, "Not Found")
    plain.over(failed, 0)  # which is said as a failure
    assert stream.getvalue() == "http://h/ - 0.250 s, 0 bytes, 1 links\n"
    assert not PlainProgress("urls.txt", None, stream).watches
