"""A headless Chromium for the tests of pages: one for the whole session, started when first used.

It is Debian's (`apt-get install chromium chromium-driver`), driven by selenium. A machine that
lacks one of the three skips these tests, and the message says what is missing.

A page is the same whichever Python wrote it, so selenium is installed for one Python only: the
`test` extra in pyproject.toml says which.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# A generous bound: what a page does takes milliseconds, on a machine that does nothing else.
PATIENCE = 15.0
AXE_PATIENCE = 300.0  # a page of source has some ten thousand words to look at
SIZE = (1280, 800)
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # there is none for root, as which CI runs; the pages are our own
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-color-profile=srgb",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)


class Browser:
    """What a reader does with a page: open it, press keys, click, look."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path | str, fragment: str = "") -> None:
        """Open a file, or an address. Another fragment of the open page loads nothing anew."""
        address = page.as_uri() if isinstance(page, Path) else page
        self.driver.get(address + fragment)

    def run(self, script: str, *arguments: object) -> Any:
        """Return what the body of a JavaScript function returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that match, also of those that are scrolled out of sight."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        found: list[str] = self.run(script, selector)
        return found

    def text(self, selector: str) -> str:
        return self.texts(selector)[0]

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys, one after another, wherever the focus is: `"ArrowLeft"`, `"w"`, `"End"`."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        actions = ActionChains(self.driver, duration=0)
        if shift:
            actions.key_down(Keys.SHIFT)
        for key in keys:
            named = {"ArrowLeft": Keys.ARROW_LEFT, "ArrowRight": Keys.ARROW_RIGHT}
            named |= {"ArrowDown": Keys.ARROW_DOWN, "ArrowUp": Keys.ARROW_UP}
            named |= {name: getattr(Keys, name.upper()) for name in ("Home", "End", "Enter", "Tab")}
            named |= {"Escape": Keys.ESCAPE}
            actions.send_keys(named.get(key, key))
        if shift:
            actions.key_up(Keys.SHIFT)
        actions.perform()

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true value of a condition; fail, saying for what, if there is none."""
        until = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < until, f"waited in vain for {what}"
            time.sleep(0.01)
        return value

    def prefer(self, theme: str) -> None:
        """Have the system prefer the `light` or the `dark` theme."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def resize(self, width: int, height: int) -> None:
        """Give the page so many pixels. A window of that size would have less, for its frame."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    @contextmanager
    def sized(self, width: int, height: int) -> Iterator[None]:
        """Have another size for a while."""
        self.resize(width, height)
        try:
            yield
        finally:
            self.resize(*SIZE)

    def complaints(self) -> list[str]:
        """What the console has to say since the last call: errors, refused loads, warnings."""
        entries = self.driver.get_log("browser")
        return [f"{entry['level']}: {entry['message']}" for entry in entries]

    def violations(self) -> list[str]:
        """What axe finds that somebody who cannot see, or use a mouse, would stumble over."""
        from axe_selenium_python import Axe

        self.driver.set_script_timeout(AXE_PATIENCE)
        axe = Axe(self.driver)
        axe.inject()
        return [
            f"{found['id']}: {found['help']}: {node['target']} {node['failureSummary']}"
            for found in axe.run()["violations"]
            for node in found["nodes"]
        ]

    def screenshot(self) -> bytes:
        """What is in the window, as a PNG."""
        picture: bytes = self.driver.get_screenshot_as_png()
        return picture


class NoBrowser(Exception):
    """What is missing on this machine."""


def start() -> Browser:
    """Start a Chromium. Raises NoBrowser if there is none, or nothing to drive it with."""
    try:
        import axe_selenium_python  # noqa: F401 - asked for now, and not in the middle of a test
        from selenium import webdriver
    except ImportError as error:
        raise NoBrowser(f"{error.name} is not installed") from None
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise NoBrowser("there is no chromium with its chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = Browser(webdriver.Chrome(options, webdriver.ChromeService(driver)))
    opened.resize(*SIZE)
    return opened


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one browser of the session. A test that changes the theme puts it back."""
    try:
        chromium = start()
    except NoBrowser as missing:
        pytest.skip(str(missing))
    yield chromium
    chromium.driver.quit()
