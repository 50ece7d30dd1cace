"""The live view: what it shows, and that it costs little."""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crawler.crawl import Queue
from crawler.http import BadStatus, Response
from crawler.live import LiveView, Speed
from crawler.summary import Summary
from tests.crawler.test_progress import JOB, visit

Run = Callable[..., Any]
PAGE = cast(Response, SimpleNamespace(wire_bytes=1024))


class Terminal(io.StringIO):
    """A terminal of 100 columns, and how often it was written to."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    def shown(self) -> str:
        """All that appeared, without what moves the cursor and colours."""
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def test_it_shows_what_the_crawl_is_at(run: Run, terminal: Terminal) -> None:
    async def main() -> None:
        with LiveView("urls.txt", 40, terminal) as view:
            view.begins(cast(Queue, SimpleNamespace(waiting=1234, in_work=7)), Summary())
            for _ in range(20):
                view.page(JOB, PAGE, 3)
                view.over(visit("http://quick/", 0.01), 0)
            view.over(visit("http://slow/", 2.0), 0)
            view.failure(JOB, BadStatus("http://a/", 404, "Not Found"))
            while "21 of 40" not in terminal.shown():
                await asyncio.sleep(0.01)

    run(main)
    shown = terminal.shown()
    assert "FAILED http://a/: status: 404 Not Found" in shown
    assert "20, 60 links, 20 KiB" in shown
    assert "7 in flight, 1,234 queued" in shown
    assert re.search(r"loop lag \d+ ms", shown)
    assert "1: status 1" in shown
    assert "slow 2.00 s, quick 0.01 s" in shown
    assert "to go" in shown


def test_it_goes_on_while_failures_are_printed_at_each_drawing(
    run: Run, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    async def main() -> None:
        with LiveView("urls.txt", 40, terminal) as view:
            for number in range(1, 4):
                view.page(JOB, PAGE, 3)
                view.failure(JOB, BadStatus("http://a/", 404, "Not Found"))
                while terminal.shown().count("FAILED") < number:
                    await asyncio.sleep(0.01)
                # What was printed took the view along.
                assert re.search(rf"\bfailed +{number}: status {number}\b", terminal.shown())

    run(main)
    assert "pages/s" in terminal.shown()


def test_pages_that_others_fetched_count_as_well(run: Run, terminal: Terminal) -> None:
    async def main() -> None:
        with LiveView("h", None, terminal) as view:
            view.pages(30, 200, 2048)
            view.failure(JOB, BadStatus("http://a/", 404, "Not Found"))

    run(main)
    assert "31 done" in terminal.shown()
    assert "30, 200 links, 2.0 KiB" in terminal.shown()


def test_where_links_are_followed_the_bar_is_of_what_is_known(run: Run, terminal: Terminal) -> None:
    async def main() -> None:
        with LiveView("h", None, terminal) as view:
            view.begins(cast(Queue, SimpleNamespace(waiting=10, in_work=5)), Summary())
            view.page(JOB, PAGE, 3)

    run(main)
    assert "1 of 16 known" in terminal.shown()
    assert "to go" not in terminal.shown()


def test_a_loop_that_is_held_up_shows(run: Run, terminal: Terminal) -> None:
    async def main() -> None:
        with LiveView("h", None, terminal):
            await asyncio.sleep(0.01)
            import time

            time.sleep(0.6)
            while "loop lag" not in terminal.shown():
                await asyncio.sleep(0.01)

    run(main)
    lags = [int(lag) for lag in re.findall(r"loop lag (\d+) ms", terminal.shown())]
    assert max(lags) >= 450


def test_it_is_drawn_a_few_times_a_second_however_much_happens(
    run: Run, terminal: Terminal
) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with LiveView("h", None, terminal) as view:
            while loop.time() < began + 0.6:
                for _ in range(10):
                    view.failure(JOB, BadStatus("http://a/", 404, "Not Found"))
                await asyncio.sleep(0.001)
            return loop.time() - began

    seconds = run(main)
    assert terminal.shown().count("loop lag") <= 2 * (seconds / 0.4 + 3)
    assert terminal.writes < 40 * (seconds / 0.4 + 3)


def test_it_needs_no_thread_and_leaves_the_cursor_as_it_was(run: Run, terminal: Terminal) -> None:
    async def main() -> None:
        before = threading.active_count()
        with LiveView("h", 3, terminal) as view:
            view.page(JOB, PAGE, 1)
            await asyncio.sleep(0)
            assert threading.active_count() == before

    run(main)
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert terminal.getvalue().count(hidden) == terminal.getvalue().count(shown) == 1


def test_markup_in_what_strangers_say_is_text(run: Run, terminal: Terminal) -> None:
    async def main() -> None:
        with LiveView("h", 3, terminal) as view:
            view.say("FAILED http://a/[bold]: [/nothing] :smile:")
            view.over(visit("http://h/[red]"), 0)

    run(main)
    assert "FAILED http://a/[bold]: [/nothing] :smile:" in terminal.shown()


def test_a_terminal_that_is_gone_does_not_stop_the_crawl(
    run: Run, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    silenced = []
    monkeypatch.setattr("crawler.live.silence", silenced.append)

    def gone(text: str) -> int:
        raise OSError(5, "Input/output error")

    async def main() -> None:
        with LiveView("h", 3, terminal) as view:
            monkeypatch.setattr(terminal, "write", gone)
            view.say("nobody reads this")

    run(main)
    assert silenced


def test_the_speed_is_that_of_the_last_looks() -> None:
    speed = Speed()
    for count in (0, 10, 30, 30):
        speed.look(count, 0.5)
    assert list(speed.rates) == [0, 20, 40, 0]
    assert speed.lately == 15
    assert speed.picture() == "▁▄█▁"
