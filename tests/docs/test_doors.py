"""The site in a browser, as somebody new to it uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser import Browser
from tests.study.opening import step_of, wait_until_open

pytestmark = pytest.mark.timeout(200)

DOORS = {
    "learn": "Learn how a loop works",
    "swap": "Swap your loop",
    "test": "Test without sleeping",
    "measure": "Measure loops",
    "crawl": "Crawl",
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and does not tell of each."""

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The address of the site, on a server of its own: the search needs one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def heading(browser: Browser) -> str:
    return browser.text("h1").replace("¶", "").strip()


@pytest.mark.parametrize("door", DOORS)
def test_a_door_leads_from_the_first_page_to_its_own(
    door: str, served: str, browser: Browser
) -> None:
    browser.open(f"{served}/index.html")
    browser.click(f".doors a[href='{door}.html']")
    browser.wait_for(lambda: heading(browser) == DOORS[door], "the page behind the door")
    assert browser.complaints() == []
    assert browser.violations() == []


def stumbled(browser: Browser, address: str, theme: str) -> list[str]:
    """What axe finds on a page, opened by somebody whose system prefers that theme."""
    browser.prefer(theme)
    try:
        browser.open(address)
        browser.run("localStorage.clear()")  # which scheme was there before
        browser.open(address)
        if "/recordings/" in address:
            wait_until_open(browser)
            # It is shown in a frame of a page, and that has the heading.
            found = browser.violations()
            return [over for over in found if not over.startswith("page-has-heading-one")]
        scheme = browser.run("return document.body.dataset.mdColorScheme")
        assert scheme == {"light": "default", "dark": "slate"}[theme]
        return browser.violations()
    finally:
        browser.prefer("light")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", ["index", "reference/study", "404", "crawler"])
def test_nobody_stumbles_over_a_page(page: str, theme: str, served: str, browser: Browser) -> None:
    assert stumbled(browser, f"{served}/{page}.html", theme) == []


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_stumbles_over_any_page(
    theme: str, site: Path, served: str, browser: Browser
) -> None:
    found = {}
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site).as_posix()
        if over := stumbled(browser, f"{served}/{name}", theme):
            found[name] = over
    assert found == {}


def test_a_recording_is_stepped_through_within_the_page(served: str, browser: Browser) -> None:
    browser.open(f"{served}/index.html")
    browser.run("document.querySelector('.recording iframe').scrollIntoView()")
    browser.driver.switch_to.frame(browser.find(".recording iframe"))
    try:
        wait_until_open(browser)
        before = step_of(browser)
        browser.click("#headline")
        browser.press("ArrowRight")
        browser.wait_for(lambda: step_of(browser) == before + 1, "the next step")
    finally:
        browser.driver.switch_to.default_content()


def test_results_are_sorted_by_a_press_on_the_head_of_a_column(
    served: str, browser: Browser
) -> None:
    browser.open(f"{served}/results/ablation-3.13.html")
    script = "return [...document.querySelectorAll('.figures tbody th')].map((e) => e.textContent)"
    values = (
        "return [...document.querySelectorAll('.figures tbody tr')]"
        ".map((row) => Number(row.cells[arguments[0]].dataset.value))"
    )
    names = browser.run(script)
    column = browser.texts(".figures thead button").index("sock/1KiB-x10")
    largest = max(zip(browser.run(values, column), names, strict=True))[1]
    browser.click(f".figures thead th:nth-child({column + 1}) button")
    assert browser.run(values, column) == sorted(browser.run(values, column), reverse=True)
    assert browser.run(script)[0] == largest
    browser.click(f".figures thead th:nth-child({column + 1}) button")
    assert browser.run(values, column) == sorted(browser.run(values, column))
    browser.click(".figures thead th:first-child button")
    assert browser.run(script) == sorted(names, key=str.casefold)
    head = browser.find(".figures thead th:first-child")
    assert head.get_attribute("aria-sort") == "ascending"


def test_the_search_finds_a_page_for_who_asks(served: str, browser: Browser) -> None:
    browser.open(f"{served}/index.html")
    browser.press("/")
    browser.press(*"edge-triggered")
    browser.wait_for(
        lambda: any(
            "edge-triggered-sockets" in href
            for href in browser.run(
                "return [...document.querySelectorAll('.md-search-result a')].map((a) => a.href)"
            )
        ),
        "a result of the search",
    )
