"""The page in a browser, for the eye and without it: themes, sizes, keyboard, axe, speed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.browser import Browser
from tests.study.opening import Open, open_recording, step_of, wait_until_open
from tests.study.stories import MANY

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("preferred", ["light", "dark"])
def test_the_theme_is_the_systems_until_it_is_switched(opened: Open, preferred: str) -> None:
    browser = opened()
    dark = """const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g);
        return (Number(r) + Number(g) + Number(b)) < 380"""
    try:
        browser.prefer(preferred)
        assert browser.run(dark) == (preferred == "dark")
        browser.click("#theme")
        assert browser.run(dark) != (preferred == "dark")
    finally:
        browser.prefer("light")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_of(opened: Open, theme: str) -> None:
    browser = opened(step=4)
    browser.run("document.documentElement.dataset.theme = arguments[0]", theme)
    found = []
    for keys in (["w"], ["h", "f"], ["t"], ["Escape", "p", "1"], ["Escape", "s", "?"]):
        browser.press(*keys)
        found += [f"after {keys}: {violation}" for violation in browser.violations()]
    assert found == []
    assert browser.complaints() == []


def test_the_keyboard_alone_reaches_every_control(opened: Open) -> None:
    browser = opened(step=2)
    reached = set()
    for _ in range(60):
        browser.press("Tab")
        reached.add(browser.run("return document.activeElement.id"))
    assert reached >= {"filter", "predict", "theme", "help", "slider", "number", "file", "names"}
    assert reached >= {"lines", "ready", "timers", "descriptors", "pane", "axis", "zoom-in"}


def test_the_lanes_are_drawn_and_told_in_words(opened: Open) -> None:
    browser = opened(step=2)
    colours = browser.run(
        """const canvas = document.getElementById('lanes');
        const paint = canvas.getContext('2d');
        const lane = (row) => {
          const seen = paint.getImageData(0, 22 + row * 22 + 11, canvas.width, 1).data;
          const colours = new Set();
          for (let i = 0; i < seen.length; i += 4) colours.add([...seen.slice(i, i + 3)].join());
          return [...colours];
        };
        return [lane(1), lane(4), lane(8)]"""
    )
    running, ready, waiting = "47,111,222", "224,153,27", "152,162,181"
    assert {running, ready, waiting} <= set(colours[0])
    assert {running, ready} <= set(colours[1])
    assert running not in colours[2]
    label = "return document.getElementById('lanes').getAttribute('aria-label')"
    told = "At this step: 2 ready, 2 waiting."
    browser.wait_for(lambda: told in browser.run(label), "the canvas to be told in words")
    assert ": waits for future sleep at kitchen.py:6" in browser.texts("#names .row")[2]


def test_nothing_overlaps_or_sticks_out_at_1280_by_800(opened: Open) -> None:
    browser = opened(step=9)
    out = browser.run(
        """const all = '.bar .transport #headline #source #loop #tasks #details'.split(' ');
        const boxOf = (name) => document.querySelector(name).getBoundingClientRect();
        const boxes = all.map((name) => [name, boxOf(name)]);
        const fits = (box) => box.right <= 1280 && box.bottom <= 800 && box.height >= 25;
        const wrong = boxes.filter(([, box]) => !fits(box)).map(([name]) => name);
        for (const [a, one] of boxes) for (const [b, two] of boxes) {
          if (a < b && one.left < two.right && two.left < one.right
              && one.top < two.bottom && two.top < one.bottom) wrong.push(`${a} on ${b}`);
        }
        return wrong"""
    )
    assert out == []
    assert browser.run("return document.documentElement.scrollWidth") <= 1280
    assert len(browser.screenshot()) < 250_000


def test_another_size_of_the_window_leaves_the_marked_cause_as_it_is(opened: Open) -> None:
    browser = opened(step=9)
    browser.press("w", "w")
    with browser.sized(1000, 700):
        # When the canvas has its new size, those who watch the size have been told.
        drawn = "return document.getElementById('lanes').width < 500"
        browser.wait_for(lambda: browser.run(drawn), "the page to be laid out anew")
        assert "(step 6)" in browser.text(".chain .marked")
        assert "await asyncio.sleep" in browser.text("#lines .row.chosen")


def test_a_narrow_window_has_one_panel_below_the_other(opened: Open) -> None:
    browser = opened(step=9)
    with browser.sized(600, 900):
        assert browser.run("return document.documentElement.scrollWidth") <= 600
        boxes = "['source', 'loop', 'tasks', 'details'].map((id) => document.getElementById(id))"
        tops = browser.run(f"return {boxes}.map((e) => e.getBoundingClientRect().top)")
        assert tops == sorted(set(tops))
        assert browser.violations() == []


def test_a_page_in_a_frame_opens_at_its_step_and_leaves_the_address_alone(
    browser: Browser, pages: Path
) -> None:
    outside = pages / "outside.html"
    outside.write_text(
        '<!doctype html><iframe src="framed.html" width="960" height="500"></iframe>'
    )
    browser.open(outside)
    browser.driver.switch_to.frame(0)
    wait_until_open(browser)
    assert step_of(browser) == 4
    browser.click("#on")
    assert step_of(browser) == 5
    browser.press("ArrowRight")
    assert step_of(browser) == 6
    assert browser.run("return location.hash") == ""
    open_recording(browser, pages / "framed.html")
    with browser.sized(960, 400):
        lane = """const box = (name) => document.querySelector(name)?.getBoundingClientRect();
            const [row, tasks] = [box('#names .row.runs'), box('#tasks')];
            return row && row.top >= tasks.top && row.bottom <= tasks.bottom"""
        browser.press("ArrowLeft")
        browser.wait_for(lambda: browser.run(lane), "the lane of the task that runs to be in sight")


def test_a_hundred_thousand_steps_open_and_step_without_lag(opened: Open) -> None:
    started = time.monotonic()
    browser = opened("many", 60_000)
    assert (
        time.monotonic() - started < 10
    )  # three seconds, on a machine that has nothing else to do
    assert browser.run("return study.recording.steps") > 0.95 * MANY
    took = browser.run(
        """const times = [];
        for (let i = 0; i < 60; i++) {
          const began = performance.now();
          if (i % 3) study.move(i % 2 ? 1 : -1); else study.go((i * 7919) % study.recording.steps);
          times.push(performance.now() - began);
        }
        return times.sort((a, b) => a - b)"""
    )
    assert took[30] < 100, f"the median step took {took[30]:.0f} ms"
    # Whatever the length, only the rows in sight exist.
    assert browser.run("return document.querySelectorAll('*').length") < 2_000
