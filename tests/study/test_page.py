"""The page in a browser: it opens, moves between the steps, and shows the state at each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import Browser
from tests.study.opening import Open, headline, rows, step_of
from tests.study.stories import kitchen

pytestmark = pytest.mark.timeout(120)


def test_it_opens_without_a_complaint_and_loads_nothing(opened: Open) -> None:
    browser = opened()
    assert browser.text("h1") == "kitchen.py"
    assert browser.text("#about").startswith("11 steps, 5 turns, 4 tasks · returned")
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.complaints() == []


def test_what_was_recorded_is_what_the_page_has(opened: Open) -> None:
    columns = ["kind", "time", "thing", "other", "place", "cause", "extra"]
    script = "return arguments[0].map((name) => [...study.recording[name]])"
    shown = opened().run(script, columns)
    events = kitchen().model()["events"]
    assert shown == [events[name] for name in columns]


def test_a_recording_without_a_step_says_so(browser: Browser, pages: Path) -> None:
    browser.open(pages / "nothing.html")
    browser.wait_for(lambda: "Nothing ran" in headline(browser), "the page to say so")


def test_arrows_go_one_step_and_with_shift_one_turn(opened: Open) -> None:
    browser = opened()
    assert "main starts at kitchen.py:15" in headline(browser)
    browser.press("ArrowRight")
    assert "rice starts at kitchen.py:5, queued by main at kitchen.py:16" in headline(browser)
    assert browser.text("#position") == "of 11 · turn 2 · at 14 µs for 2 µs"
    browser.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert step_of(browser) == 3
    browser.press("ArrowRight", shift=True)
    assert step_of(browser) == 5  # the third turn begins
    browser.press("ArrowRight")
    browser.press("ArrowLeft", shift=True)
    assert step_of(browser) == 5
    browser.press("ArrowLeft", shift=True)
    assert step_of(browser) == 2
    browser.press("End")
    assert step_of(browser) == 11
    browser.press("ArrowRight")
    assert step_of(browser) == 11
    browser.press("Home")
    assert step_of(browser) == 1


def test_going_back_shows_what_going_on_had_shown(opened: Open) -> None:
    browser = opened()
    # The source may have been scrolled another way; what is marked in it must be the same.
    panels = "#headline, #lines .row[data-marks], #origin, #loop, #names, #pane, #position"
    look = f"return [...document.querySelectorAll('{panels}')].map((e) => e.textContent)"
    seen = []
    for _ in range(11):
        seen.append(browser.run(look))
        browser.press("ArrowRight")
    for expected in reversed(seen):
        assert browser.run(look) == expected
        browser.press("ArrowLeft")


@pytest.mark.parametrize("name", ["kitchen", "long"])
def test_the_queue_of_each_turn_is_as_long_as_the_loop_counted(opened: Open, name: str) -> None:
    counted = opened(name).run(
        """const { recording, replay } = study;
        return recording.turnStart.map((step) =>
          [replay.readyAtTurn(step), recording.extra[recording.turnEvent[step]]]);"""
    )
    assert len(counted) > 4
    assert [shown for shown, _ in counted] == [recorded for _, recorded in counted]


def test_a_jump_gives_the_state_that_stepping_there_gives(opened: Open) -> None:
    jumps = [1500, 3, 700, 699, 511, 512, 1999, 1023, 1024, 0]
    differing = opened("long").run(
        """const { replay } = study;
        const text = (state) => JSON.stringify([[...state.ready], state.heap, state.mark]);
        const stepped = [];
        const { steps } = study.recording;
        for (let step = 0; step < steps; step++) stepped.push(text(replay.at(step)));
        return arguments[0].filter((step) =>
          step < stepped.length && text(replay.at(step)) !== stepped[step]);""",
        jumps,
    )
    assert differing == []


def test_the_source_marks_the_line_that_runs_and_the_one_that_queued_it(opened: Open) -> None:
    browser = opened(step=4)
    assert "async def burn" in browser.text("#lines .row.runs")
    assert "raise ValueError" in browser.text("#lines .row.stops")
    assert "oven = asyncio.create_task" in browser.text("#origin .row.queued")
    assert browser.text("#origin-title") == "↳ queued by main: kitchen.py:18, in main"


def test_the_loop_shows_queue_timers_descriptors_and_phases(opened: Open) -> None:
    browser = opened(step=2)
    assert rows(browser, "ready") == ["tea", "oven"]
    assert rows(browser, "timers") == ["set_result_unless_cancelled", "ring"]
    assert rows(browser, "descriptors") == ["socket 7 127.0.0.1:8080"]
    browser.press("ArrowRight", shift=True)
    assert browser.texts("#phases span") == [
        "only looked, did not sleep",
        "1 descriptor ready",
        "2 timers due",
        "entry 1 of 3",
    ]


def test_a_cancelled_timer_is_struck_out_and_then_swept(opened: Open) -> None:
    browser = opened(step=8)
    assert browser.texts("#timers .row.struck .main") == ["ring"]
    browser.press("ArrowRight")
    assert "swept" not in browser.text("#timers")
    browser.press("ArrowRight")
    assert "cancelled, and swept out now" in browser.text("#timers .row.swept")
    browser.press("ArrowRight")
    assert rows(browser, "timers") == []


def test_a_task_is_followed_alone_by_a_click_and_by_the_keyboard(opened: Open) -> None:
    browser = opened()
    browser.run("document.querySelectorAll('#names .row')[3].click()")
    assert browser.text("#unfollow") == "Following tea ✕"
    visited = []
    for _ in range(3):
        visited.append(step_of(browser))
        browser.press("ArrowRight")
    assert visited == [3, 9, 9]
    browser.press("Home")
    assert step_of(browser) == 3
    browser.press("Escape")
    browser.press("ArrowRight")
    assert step_of(browser) == 4
    browser.run("document.getElementById('names').focus()")
    browser.press("ArrowDown", "Enter")
    chosen = "#names [aria-selected=true]"
    assert browser.run(f"return document.querySelector('{chosen}').dataset.row") == "4"


def test_the_filter_takes_names_and_files(opened: Open) -> None:
    browser = opened()
    browser.press("/")
    browser.press("rice")
    assert browser.texts("#names .task-name") == ["callbacks", "rice"]
    browser.press("Escape", "Home")
    assert len(browser.texts("#names .task-name")) == 5
    browser.press("/", "kitchen.py")
    assert "10 shown" in browser.text("#position")  # all but the transport's own callback
    browser.press("Escape", "/", "nowhere")
    assert "0 shown" in browser.text("#position")


def test_an_address_names_a_step_and_follows_the_reader(opened: Open) -> None:
    browser = opened(step=7)
    assert step_of(browser) == 7
    browser.run("location.hash = '#step=3'")
    browser.wait_for(lambda: step_of(browser) == 3, "the page to go there")
    browser.press("ArrowRight")
    address = "return location.hash"
    browser.wait_for(lambda: browser.run(address) == "#step=4", "the address to follow")
    assert step_of(opened(step=999)) == 11


def test_the_slider_and_the_number_go_to_a_step(opened: Open) -> None:
    browser = opened()
    browser.run(
        """const slider = document.getElementById('slider');
        slider.value = 6;
        slider.dispatchEvent(new Event('input'));"""
    )
    assert step_of(browser) == 6
    browser.click("#number")
    browser.run("document.getElementById('number').select()")
    browser.press("9", "Enter")
    browser.wait_for(lambda: "tea resumes" in headline(browser), "step 9")
