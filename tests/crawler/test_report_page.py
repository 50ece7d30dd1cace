"""The report in a browser: what a reader sees and does."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from crawler.output import Record
from crawler.report import About, Tally, render
from tests.browser import Browser

pytestmark = pytest.mark.timeout(120)


def tally() -> Tally:
    """A crawl of two sites with a bit of everything."""
    randomly = random.Random(7)
    made = Tally()
    for number in range(600):
        host = "quick.example" if number % 3 else "slow.example"
        wait = randomly.lognormvariate(-3, 1) * (1 if number % 3 else 9)
        record = Record(
            f"https://{host}/{('docs', 'blog/2026')[number % 2]}/page%20{number}",
            number % 4, 1_790_000_000 + number / 10, 200, type="text/html", size=9000,
            decoded_size=20_000, seconds=wait + 0.01,
            timings={"acquire": 1e-5, "connect_tcp": 0.005, "receive_head": wait},
            links=[f"https://{host}/", f"https://{host}/docs/page%20{number + 3}"],
        )  # fmt: skip
        if number % 20 == 5:
            record.status, record.error, record.detail = 404, "status", "404 Not Found"
        elif number % 50 == 1:
            record.status, record.error, record.detail = None, "timeout", "<b>too</b> slow"
        elif number % 50 == 2:
            record.flags = ["mended head"]
        made.add(record)
    return made


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(tally(), About("https://quick.example", "crawler …", 60.0)))
    return path


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open("about:blank")
    browser.complaints()
    browser.open(page)
    return browser


def test_every_figure_is_there_and_the_console_is_silent(opened: Browser) -> None:
    assert opened.texts("h2") == [
        "Pages a second", "Where the time goes", "Status codes", "Types of pages",
        "Links from the start", "What was odd and did no harm", "Failures", "Site tree",
        "Most-linked pages", "Slowest pages", "Slowest hosts",
    ]  # fmt: skip
    assert opened.texts(".tile dd")[0] == "558"
    assert "<b>too</b> slow" in opened.text(".failures")
    assert not opened.complaints()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_stumbles_in_either_theme(opened: Browser, theme: str) -> None:
    opened.prefer(theme)
    try:
        chosen = f"return document.documentElement.dataset.theme === '{theme}'"
        opened.wait_for(lambda: opened.run(chosen), "the theme")
        opened.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert opened.violations() == []
    finally:
        opened.prefer("light")


def test_the_theme_can_be_changed(opened: Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    before = opened.run(ground)
    opened.click("#theme")
    assert opened.run(ground) != before
    opened.click("#theme")
    assert opened.run(ground) == before


def test_each_picture_has_a_text(opened: Browser) -> None:
    texts = opened.run(
        "return [...document.querySelectorAll('svg[role=img], .stack')]"
        ".map((each) => each.getAttribute('aria-label'))"
    )
    assert len(texts) >= 5
    assert all(len(text) > 20 for text in texts)
    assert opened.run("return document.querySelectorAll('svg:not([role=img])').length") == 0


def test_arrow_keys_move_along_the_timeline_and_say_what_is_there(opened: Browser) -> None:
    opened.run("document.querySelector('[role=slider]').focus()")
    opened.press("End", "ArrowLeft", "ArrowLeft")
    slider = opened.find("[role=slider]")
    last = int(slider.get_attribute("aria-valuemax"))
    assert int(slider.get_attribute("aria-valuenow")) == last - 2
    said = slider.get_attribute("aria-valuetext")
    assert "pages/s" in said
    assert opened.text("#tip") == said
    opened.press("Escape")
    assert opened.run("return document.getElementById('tip').hidden")


def test_the_tree_is_walked_and_opened_by_keys(opened: Browser) -> None:
    def here() -> str:
        text: str = opened.run("return document.activeElement.textContent")
        return text

    opened.run("document.querySelector('[role=treeitem]').focus()")
    opened.press("ArrowDown", "ArrowRight", "ArrowDown")
    first = here()
    opened.press("ArrowRight")
    assert {first, here()} == {"/docs/", "/blog/"}
    opened.press("ArrowUp")
    assert here() == "slow.example"
    opened.press("Enter")
    assert opened.texts(".crumbs button") == ["all sites", "https://slow.example"]
    assert (
        opened.run("return document.querySelectorAll('[role=treeitem][tabindex=\"0\"]').length")
        == 1
    )
    opened.click(".crumbs button")
    assert opened.texts(".crumbs button") == ["all sites"]
    assert not opened.complaints()


def test_hosts_are_sorted_by_any_column(opened: Browser) -> None:
    rows = "section table[aria-label=Hosts] tbody th"
    assert opened.texts(rows) == ["https://slow.example", "https://quick.example"]
    opened.run("document.querySelector('table[aria-label=Hosts] th:nth-child(2) button').focus()")
    opened.press("Enter")
    assert opened.texts(rows) == ["https://quick.example", "https://slow.example"]
    assert opened.find("th[aria-sort=descending]").text.startswith("pages")
    opened.press("Enter")
    assert opened.texts(rows) == ["https://slow.example", "https://quick.example"]


def test_an_empty_crawl_says_so(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "empty.html").write_text(render(Tally(), About("nothing")))
    browser.open("about:blank")
    browser.complaints()
    browser.open(tmp_path / "empty.html")
    assert browser.texts("main .note") == ["Nothing was crawled, so there is nothing to show."]
    assert not browser.complaints()
    assert browser.violations() == []


@pytest.mark.parametrize(
    "records",
    [
        [Record("http://h/", 0, 1.0, 200, seconds=0.0)],
        [Record("http://h/", 0, 1.0, None, error="DNS", detail="no such host", seconds=0.1)],
        [Record("http://h/robots", 0, 1.0, None, error="robots.txt")],
        [Record(f"http://h{n}/", 0, 1.0 + 1e6 * n, 301, seconds=1e5) for n in range(40)],
    ],
    ids=["one page", "one failure", "nothing allowed", "redirects over a year"],
)
def test_odd_crawls_are_drawn_too(browser: Browser, tmp_path: Path, records: list[Record]) -> None:
    odd = Tally()
    for record in records:
        odd.add(record)
    (tmp_path / "odd.html").write_text(render(odd, About("odd things")))
    browser.open("about:blank")
    browser.complaints()
    browser.open(tmp_path / "odd.html")
    assert not browser.complaints()
    drawn = browser.run("return document.querySelector('main').outerHTML")
    assert not re.findall(r".{40}NaN.{40}", drawn)
