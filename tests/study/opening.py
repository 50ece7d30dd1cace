"""Opens the page of a recording in the browser, and looks at what all tests of it look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.browser import Browser

# `opened("kitchen", 4)` opens the page of that story at that step, anew.
Open = Callable[..., Browser]


def open_recording(browser: Browser, path: Path, step: int | None = None) -> None:
    """Load the page anew, at a step."""
    browser.open("about:blank")
    browser.complaints()
    browser.open(path, "" if step is None else f"#step={step}")
    wait_until_open(browser)


def wait_until_open(browser: Browser) -> None:
    """Wait for the page that is being loaded; what it complains of meanwhile fails the test."""

    def opened() -> bool:
        assert not (said := browser.complaints()), said
        return bool(browser.run("return document.documentElement.dataset.openedIn"))

    browser.wait_for(opened, "the page to open")


def step_of(browser: Browser) -> int:
    """The step that is shown, by the number that people see."""
    return int(browser.run("return document.getElementById('number').value"))


def headline(browser: Browser) -> str:
    """The sentence about the step that is shown."""
    return browser.text("#headline")


def rows(browser: Browser, panel: str) -> list[str]:
    """The first line of each row of a panel."""
    return browser.texts(f"#{panel} .row .main")
