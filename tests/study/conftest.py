"""The pages of stories, and one of them opened in the browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from miniloop.study import page
from tests.browser import Browser
from tests.study.opening import Open, open_recording
from tests.study.stories import MANY, Story, kitchen, long, odds


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page of each story."""
    folder = tmp_path_factory.mktemp("pages")
    page.write(kitchen().model(), folder / "kitchen.html")
    page.write(kitchen().model(), folder / "framed.html", step=4, embedded=True)
    page.write(odds().model(), folder / "odds.html")
    page.write(long(2_000).model(), folder / "long.html")
    page.write(long(MANY).model(), folder / "many.html")
    nothing = Story("nothing.py")
    nothing.tell("wait", extra=-1)
    page.write(nothing.model(), folder / "nothing.html")
    return folder


@pytest.fixture
def opened(browser: Browser, pages: Path) -> Open:
    """`opened("kitchen", 4)` opens that page at that step, anew."""

    def open_page(name: str = "kitchen", step: int = 1) -> Browser:
        open_recording(browser, pages / f"{name}.html", step)
        return browser

    return open_page
