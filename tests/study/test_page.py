"""The page in a browser: what a reader sees and does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from miniloop.study import page
from tests.browser import Browser
from tests.study.opening import open_recording, wait_until_open
from tests.study.stories import Story, kitchen, long, odds

pytestmark = pytest.mark.timeout(120)

Open = Callable[..., Browser]
MANY = 100_000


@pytest.fixture(scope="module")
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


def step_of(browser: Browser) -> int:
    return int(browser.run("return document.getElementById('number').value"))


def headline(browser: Browser) -> str:
    return browser.text("#headline")


def rows(browser: Browser, panel: str) -> list[str]:
    """The first line of each row of a panel."""
    return browser.texts(f"#{panel} .row .main")


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


def test_w_walks_back_to_the_timer_and_shows_each_line(opened: Open) -> None:
    browser = opened(step=9)
    assert browser.texts(".chain li") == [
        "tea resumes at kitchen.py:6 (step 9).",
        "tea was queued, as future sleep was finished by timer set_result_unless_cancelled.",
        "timer set_result_unless_cancelled runs at kitchen.py:6 (step 6).",
        "timer set_result_unless_cancelled was queued, as its time had come.",
        "timer set_result_unless_cancelled was due, and came 240 ms after its time; "
        "it had been set by tea at kitchen.py:6.",
    ]
    browser.press("w", "w")
    assert "runs at kitchen.py:6 (step 6)" in browser.text(".chain .marked")
    assert "await asyncio.sleep" in browser.text("#lines .row.chosen")
    browser.press("Enter")
    assert step_of(browser) == 6


@pytest.mark.parametrize(
    ("step", "root"),
    [
        (
            5,
            "socket 7 127.0.0.1:8080 was readable, for callback StreamTransport._read_ready; "
            "it is watched since kitchen.py:20.",
        ),
        (4, "That was the start: no event of the loop came before."),
    ],
)
def test_the_chain_of_causes_ends_where_it_came_from(opened: Open, step: int, root: str) -> None:
    assert opened(step=step).texts(".chain li")[-1] == root


def test_each_kind_of_event_has_its_sentence(opened: Open) -> None:
    browser = opened("odds", 101)
    told = browser.run(
        """const { recording, words } = study;
        return [...recording.kind].map((_, e) => words.plain(words.event(e)))"""
    )
    assert told == [
        "main was queued at odds.py:20",
        "a turn began, with 1 entry to run",
        "main began at odds.py:1",
        "eager was created by main at odds.py:2",
        "eager began at odds.py:7",
        "eager gave way to the others at odds.py:8",
        "eager was queued by itself, when it gave way at odds.py:8",
        "thread worker 1 went to work (1 at work)",
        "the cancellation of eager was requested by main at odds.py:3",
        "main waits for a future at odds.py:4",
        "a turn began, with 1 entry to run",
        "eager began at odds.py:8",
        "eager was cancelled",
        "eager was cancelled at odds.py:8",
        "the loop went to sleep until something happens",
        "the loop woke after 5 ms",
        "callback answer was handed over from thread worker 1 at odds.py:10",
        "callback answer was queued by thread worker 1 at odds.py:10",
        "thread worker 1 was done with its work (0 at work)",
        "signal SIGTERM came",
        "callback on_term was queued, as signal SIGTERM came",
        "a turn began, with 2 entries to run",
        "callback answer began at odds.py:9",
        "callback answer failed: KeyError: 'x'",
        "callback answer failed at odds.py:9",
        "callback on_term began at odds.py:11",
        "callback on_term was done",
    ]
    headlines = []
    for _ in range(5):
        headlines.append(headline(browser))
        browser.press("ArrowRight")
    assert headlines == [
        "main starts at odds.py:1, queued at odds.py:20; then it waits for a future at odds.py:4.",
        "eager starts at odds.py:7, at once, when main created it at odds.py:2; "
        "then it gives way to the others at odds.py:8.",
        "eager resumes at odds.py:8, queued by itself, when it gave way at odds.py:8; "
        "then it ends, cancelled at odds.py:8.",
        "callback answer runs at odds.py:9, queued by thread worker 1 at odds.py:10; "
        "then it fails (KeyError: 'x') at odds.py:9.",
        "callback on_term runs at odds.py:11, as signal SIGTERM came; then it is done.",
    ]
    assert browser.text("#about").startswith("5 steps, 3 turns, 2 tasks · was cut off")


def test_the_first_step_of_a_recording_that_lost_its_beginning_has_its_own_number(
    opened: Open,
) -> None:
    browser = opened("odds", 103)
    assert step_of(browser) == 103
    assert browser.texts(".chain li")[-1] == "What came before was not kept."
    browser.press("h")
    assert "callback answer failed: KeyError: 'x'" in browser.text("#pane")
    assert "eager" not in browser.text("#pane")  # it was cancelled: nothing to be said of it


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


def test_a_prediction_hides_what_comes_and_says_why(opened: Open) -> None:
    browser = opened(step=2)
    browser.press("p")
    assert rows(browser, "ready") == []
    choices = [text[2:] for text in browser.texts(".choice")]
    assert set(choices) >= {"tea", "oven"}
    browser.press(str(choices.index("oven") + 1))
    assert browser.text(".verdict") == (
        "No. oven was ready, too, but was queued after tea. "
        "tea was the first in the ready queue: tea was queued by main at kitchen.py:17."
    )
    assert browser.text(".score") == "0 of 1 right"
    browser.press("Enter")  # the button "Go on" has the focus
    assert step_of(browser) == 3
    choices = [text[2:] for text in browser.texts(".choice")]
    browser.press(str(choices.index("oven") + 1))
    assert browser.text(".verdict").startswith("Right.")
    assert browser.text(".score") == "1 of 2 right"
    browser.press("ArrowRight")
    assert "socket 7" in browser.run(
        """const choice = [...document.querySelectorAll('.choice')]
          .find((e) => e.textContent.includes('_read_ready'));
        choice.click();
        return document.querySelector('.verdict').textContent"""
    )
    browser.press("Escape")
    assert browser.texts(".chain li")


def test_every_wrong_answer_has_a_reason(opened: Open) -> None:
    reasons: list[list[Any]] = opened().run(
        """const { quiz, words, recording } = study;
        const reasons = [];
        for (let step = 0; step + 1 < recording.steps; step++) {
          const next = recording.entry(step + 1);
          const choices = quiz.choicesAt(step);
          if (!choices.includes(next)) reasons.push([step, "the answer is missing"]);
          for (const thing of choices) {
            if (thing !== next) reasons.push([step, words.plain(quiz.whyNot(thing, step))]);
          }
        }
        return reasons;"""
    )
    assert len(reasons) > 20
    for step, reason in reasons:
        kinds = ("too, but", "still waits for", "due in", "is due", "was not in the ready queue")
        assert any(kind in reason for kind in kinds), (step, reason)


def test_the_hints_name_what_stands_out_and_lead_there(opened: Open) -> None:
    browser = opened()
    browser.press("h")
    hints = browser.texts("#pane li")
    for expected in (
        "exception unseen Nobody asked",
        "held the loop oven held the loop for 250 ms, from kitchen.py:10 to kitchen.py:12.",
        "timer set_result_unless_cancelled and 1 other, set at kitchen.py:6, "
        "were up to 240 ms late: oven ran for 240 ms of it (step 4).",
        "not awaited oven ended, and nobody was waiting for it.",
        "never yielded oven never gave way",
    ):
        assert any(expected.lower() in hint.lower() for hint in hints), expected
    browser.click(".hint")
    assert step_of(browser) == 4


def test_the_task_tells_its_chain_of_awaits_and_who_made_whom(opened: Open) -> None:
    browser = opened(step=8)
    browser.press("t")
    assert browser.texts(".awaits li") == [
        "main at kitchen.py:23",
        "waits for rice",
    ]
    assert "rice, tea, oven" in browser.text(".facts")
    assert "main, kitchen.py:15" in browser.text(".facts")
    depths = (
        "[...document.querySelectorAll('#names .task-name')].map((e) => e.style.paddingInlineStart)"
    )
    assert browser.run(f"return {depths}") == ["", "0px", "12px", "12px", "12px"]


def test_this_step_lists_what_led_to_it_and_what_it_did(opened: Open) -> None:
    browser = opened(step=5)
    browser.press("s")
    events = browser.texts(".events li")
    assert events[0] == "The loop asked for I/O without sleeping."
    assert "Future readline was finished" in events[-3] or "future readline" in events[-3]


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
    pairs = itertools.pairwise(browser.run("return study.recording.turnStart.slice(0, 1000)"))
    assert all(before < after for before, after in pairs)
