"""The page in a browser, in words: why, hints, the task, the step, and the prediction."""

from __future__ import annotations

from typing import Any

import pytest

from tests.study.opening import Open, headline, rows, step_of

pytestmark = pytest.mark.timeout(120)


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
        "thread worker 1 was done (0 at work)",
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
