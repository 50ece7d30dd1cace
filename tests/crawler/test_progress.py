"""What progress looks like when it is not on a terminal, line by line."""

from __future__ import annotations

import io
from typing import cast

import pytest

from crawler.crawl import UnexpectedError
from crawler.frontier import Job, Malformed
from crawler.http import URL, BadStatus, Response
from crawler.progress import BarProgress, PlainProgress, progress

JOB = Job("http://a/", URL("http://a/"))
RESPONSE = cast(Response, None)  # progress looks only at the number of links


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_appears_every_five_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    with PlainProgress("urls.txt", 2000, stream, clock) as plain:
        for second in range(12):
            clock.now = 100.0 + second
            for _ in range(100):
                plain.page(JOB, RESPONSE, 3)
    assert stream.getvalue().splitlines() == [
        "501 of 2,000 done, 1,503 links, 0 failed",
        "1,001 of 2,000 done, 3,003 links, 0 failed",
    ]


def test_a_list_of_unknown_length_has_no_total() -> None:
    stream, clock = io.StringIO(), Clock()
    plain = PlainProgress("urls.txt", None, stream, clock)
    clock.now += 5
    plain.page(JOB, RESPONSE, 1)
    assert stream.getvalue() == "1 done, 1 links, 0 failed\n"


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


@pytest.mark.parametrize(("terminal", "kind"), [(True, BarProgress), (False, PlainProgress)])
def test_a_terminal_gets_the_bar_and_nothing_else_does(terminal: bool, kind: type) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    with progress("urls.txt", 3, stream) as shown:
        assert type(shown) is kind


def test_the_bar_needs_no_thread() -> None:
    import threading

    before = threading.active_count()
    stream = io.StringIO()
    with BarProgress("urls.txt", 3, stream) as bar:
        bar.page(JOB, RESPONSE, 1)
        assert threading.active_count() == before
