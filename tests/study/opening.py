"""Opens the page of a recording in the browser, and waits until it can be used."""

from __future__ import annotations

from pathlib import Path

from tests.browser import Browser


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
