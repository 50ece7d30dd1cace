"""The page of a real recording: that of the restaurant whose picture is in the README."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from miniloop.study import page, read
from miniloop.study.causes import chain
from tests.browser import Browser
from tests.builds import pure_only
from tests.study.opening import open_recording

pytestmark = [pure_only, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "docs" / "images" / "kitchen.py"


def line_of(text: str) -> int:
    lines = PROGRAM.read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("recording") / "kitchen.miniloop"
    command = [sys.executable, "-m", "miniloop", "--record", str(path), str(PROGRAM)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return read(path).model()


@pytest.fixture(scope="module")
def opened(browser: Browser, model: dict[str, Any], tmp_path_factory: Any) -> Browser:
    path = tmp_path_factory.mktemp("page") / "kitchen.html"
    page.write(model, path)
    open_recording(browser, path)
    return browser


def test_each_step_shows_in_each_panel_without_a_complaint(opened: Browser) -> None:
    steps = opened.run(
        """const { steps } = study.recording;
        for (const [tab, stride] of [["why", 1], ["step", 2], ["task", 3], ["hints", 30]]) {
          study.details.open(tab);
          for (let step = 0; step < steps; step += stride) study.go(step);
        }
        study.quiz.toggle();
        for (let step = 0; step < steps; step += 2) {
          study.go(step);
          document.querySelector(".choice")?.click();
        }
        study.quiz.toggle();
        return steps"""
    )
    assert steps > 40
    assert opened.complaints() == []
    words = opened.run(
        """const told = [];
        for (let step = 0; step < study.recording.steps; step++) {
          study.go(step);
          told.push(document.getElementById("headline").textContent);
        }
        return told"""
    )
    assert not [text for text in words if "undefined" in text or "null" in text or "NaN" in text]


def test_the_queue_of_each_turn_is_as_long_as_the_loop_counted(opened: Browser) -> None:
    counted = opened.run(
        """const { recording, replay } = study;
        return recording.turnStart.map((step) =>
          [replay.readyAtTurn(step), recording.extra[recording.turnEvent[step]]]);"""
    )
    assert [shown for shown, _ in counted] == [recorded for _, recorded in counted]


def test_nobody_waits_on_a_descriptor_for_a_future_that_is_finished(opened: Browser) -> None:
    waiting = opened.run(
        """const waiting = [];
        for (let step = 0; step < study.recording.steps; step++) {
          study.go(step);
          waiting.push([...document.querySelectorAll("#descriptors .sub")]
            .map((e) => e.textContent).filter((text) => text.startsWith("write: ")));
        }
        return waiting"""
    )
    # The guests connect, and have all connected before the last of them is served.
    assert any(waiting)
    assert waiting[-1] == []


def test_the_chain_of_causes_is_the_one_that_the_terminal_tells(
    opened: Browser, model: dict[str, Any]
) -> None:
    shown = opened.run(
        """const chains = [];
        for (let step = 0; step < study.recording.steps; step++) {
          study.details.open("why");
          study.go(step);
          chains.push(study.details.links.map((link) => link.event));
        }
        return chains"""
    )
    kinds, kind = model["kinds"], model["events"]["kind"]
    begun = [event for event, what in enumerate(kind) if kinds[what] == "begun"]
    assert len(shown) == len(begun)
    for links, event in zip(shown, begun, strict=True):
        told = chain(model, event)
        # What was finished and what that queued are one sentence; the start is an extra one.
        names = [kinds[kind[e]] for e in told]
        merged = [
            later
            for (name, _), (before, later) in zip(
                pairwise(["", *names]), pairwise([-1, *told]), strict=True
            )
            if not (name == "queued" and kinds[kind[later]] == "finished")
        ]
        assert list(dict.fromkeys(links)) == merged


def test_a_call_in_a_thread_is_told_with_who_made_it_and_where(opened: Browser) -> None:
    line = line_of("asyncio.to_thread")
    roots = opened.run(
        """study.details.open("why");
        const roots = [];
        for (let step = 0; step < study.recording.steps; step++) {
          study.go(step);
          roots.push(study.words.plain(study.details.links.at(-1).parts));
        }
        return roots"""
    )
    made = f"serve 2 had given the call to a thread at kitchen.py:{line}"
    assert any("was handed over from thread" in root and made in root for root in roots), roots


def test_the_step_that_held_the_loop_is_named_with_its_line(opened: Browser) -> None:
    line = line_of("order = (await")
    hints = opened.run("return study.hints.map((hint) => study.words.plain(hint.parts))")
    assert any(
        "serve 3 held the loop for 1" in hint and f"from kitchen.py:{line}" in hint
        for hint in hints
    ), hints
