"""The tour as pages: all of its Markdown is understood, and a step has its recording in it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.tour.site.markdown import anchor, render
from tests.browser import Browser
from tests.study.opening import open_recording, step_of

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs" / "tour"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them, as `make tour` makes them."""
    folder = tmp_path_factory.mktemp("tour")
    command = [sys.executable, "-m", "docs.tour.site", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return folder


def plain(text: str) -> str:
    return render(text, str, lambda code: f"<code>{code}</code>")


def test_markdown_becomes_html() -> None:
    assert plain("# A `b`: c?\n\n") == '<h1 id="a-b-c">A <code>b</code>: c?</h1>'
    assert plain("one\n*two* **three** <4") == (
        "<p>one <em>two</em> <strong>three</strong> &lt;4</p>"
    )
    assert plain("see [the `map`](map.md#x)") == (
        '<p>see <a href="map.md#x">the <code>map</code></a></p>'
    )
    assert plain("- one\n  more\n- two") == "<ul><li>one more</li><li>two</li></ul>"
    assert plain("1. one\n2. two") == "<ol><li>one</li><li>two</li></ol>"
    assert plain("| | b |\n|---|---|\n| c | |") == (
        "<table><thead><tr><th></th><th>b</th></tr></thead>"
        "<tbody><tr><td>c</td><td></td></tr></tbody></table>"
    )
    assert plain("```sh\n# a < b\n\n- c\n```") == (
        '<pre tabindex="0"><code># a &lt; b\n\n- c\n</code></pre>'
    )
    assert plain("---") == "<hr>"


def test_markdown_that_is_not_understood_is_refused() -> None:
    with pytest.raises(ValueError, match="> a quotation"):
        plain("> a quotation")


@pytest.mark.parametrize("path", sorted(TOUR.glob("*.md")), ids=lambda path: path.name)
def test_nothing_of_a_text_is_left_as_markdown(path: Path) -> None:
    html = plain(path.read_text(encoding="utf-8"))
    outside = re.sub(r"<pre.*?</pre>|<code>.*?</code>|<[^>]*>", "", html, flags=re.DOTALL)
    assert not re.search(r"\*\*|`|\]\(|^\||^#", outside, re.MULTILINE)


def test_headings_are_called_as_github_calls_them() -> None:
    assert anchor("What is `await asyncio.sleep(0)` for?") == "what-is-await-asynciosleep0-for"


def test_a_step_has_its_recording_in_it(pages: Path, browser: Browser) -> None:
    browser.complaints()
    browser.open(pages / "03-futures.html")
    assert browser.text("h1") == "3. Futures wake tasks"
    assert "class Future:" in "".join(browser.texts("pre"))
    frame = browser.find("iframe")
    browser.driver.switch_to.frame(frame)
    try:
        browser.wait_for(
            lambda: browser.run("return document.documentElement.dataset.openedIn"),
            "the recording in the page",
        )
        browser.find("body").click()
        browser.press("ArrowRight", "ArrowRight")
        assert browser.run("return document.getElementById('number').value") == "3"
        assert any("cook" in lane for lane in browser.texts("body"))
    finally:
        browser.driver.switch_to.default_content()
    assert not browser.complaints()
    assert not browser.violations()
    browser.complaints()  # of what looks for them, which would talk to the frame


def test_links_of_the_pages_lead_somewhere(pages: Path) -> None:
    for page in pages.glob("*.html"):
        html = page.read_text(encoding="utf-8")
        for target in re.findall(r'(?:href|src)="(?!data:)([^"#]+)', html):
            assert (pages / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("program", sorted(path.stem for path in TOUR.glob("*.py")))
def test_each_recording_of_the_tour_opens_and_steps(
    program: str, pages: Path, browser: Browser
) -> None:
    open_recording(browser, pages / "recordings" / f"{program}.html", 1)
    assert program in browser.text("body")
    browser.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert step_of(browser) == 2
    browser.press("End")
    assert step_of(browser) > 5
    assert not browser.complaints()


def test_the_first_page_leads_to_the_step_and_to_an_answer(pages: Path, browser: Browser) -> None:
    browser.open(pages / "index.html")
    browser.click('a[href="03-futures.html"]')
    assert browser.text("h1") == "3. Futures wake tasks"
    browser.open(pages / "index.html")
    browser.click('a[href="03-futures.html#who-keeps-a-task-alive"]')
    assert browser.run("return document.querySelector(':target').textContent").startswith("Who")
    assert not browser.complaints()
    browser.open(pages / "index.html")
    assert not browser.violations()
    browser.complaints()
