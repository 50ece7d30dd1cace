"""A recording as a trace for ui.perfetto.dev: a lane per task, and arrows from cause to effect.

Source: "Trace Event Format", the JSON of the Chrome tracing tools, which Perfetto reads. Times are
microseconds. A step is a complete event ("X"); its arrow is a flow that begins ("s") in the step
that queued the entry, and ends ("f") where it ran.
"""

from __future__ import annotations

from typing import Any

from miniloop.study.causes import Story

__all__ = ["trace"]

_LOOP = 1  # the lane of the loop itself: its sleeps
_CALLBACKS = 2  # all callbacks share one


def trace(model: dict[str, Any]) -> dict[str, Any]:
    """The trace, ready to become JSON."""
    story, events, things = Story(model), model["events"], model["things"]
    numbers = {event: number for number, event in enumerate(story.steps, story.first_step)}
    found: list[dict[str, Any]] = []
    lanes: dict[int, int] = {}
    open_steps: set[int] = set()
    steps: dict[int, tuple[int, float]] = {}  # by begin: the lane and the time

    def lane(thing: int) -> int:
        if thing < 0 or things["kind"][thing] != "task":
            return _CALLBACKS
        return lanes.setdefault(thing, len(lanes) + _CALLBACKS + 1)

    def complete(begun: int, until: float) -> None:
        thing = events["thing"][begun]
        at = events["time"][begun] / 1000
        found.append(
            {
                "ph": "X",
                "pid": 1,
                "tid": lane(thing),
                "ts": at,
                "dur": max(until - at, 0.001),
                "name": story.thing(thing),
                "cat": "step",
                "args": {"step": numbers[begun], "line": story.line(events["place"][begun])},
            }
        )

    slept_from = 0.0
    for event in range(len(events["kind"])):
        kind, time = story.kind(event), events["time"][event] / 1000
        if kind == "begun":
            thing = events["thing"][event]
            queued = events["cause"][event]
            steps[event] = lane(thing), time
            open_steps.add(event)
            source = _step_behind(story, queued)
            if source in steps:
                _flow(found, event, steps[source], (lane(thing), time))
        elif kind in ("suspended", "ended") and events["cause"][event] in open_steps:
            open_steps.discard(events["cause"][event])
            complete(events["cause"][event], time)
        elif kind == "wait":
            slept_from = time
        elif kind == "woke" and time > slept_from:
            found.append(
                {
                    "ph": "X",
                    "pid": 1,
                    "tid": _LOOP,
                    "ts": slept_from,
                    "dur": time - slept_from,
                    "name": "sleeps" if time - slept_from > 10 else "looks",
                    "cat": "wait",
                }
            )
    names = {_LOOP: "the loop", _CALLBACKS: "callbacks"}
    names |= {number: story.thing(thing) for thing, number in lanes.items()}
    for number, name in names.items():
        found.append(
            {"ph": "M", "pid": 1, "tid": number, "name": "thread_name", "args": {"name": name}}
        )
    found.append({"ph": "M", "pid": 1, "name": "process_name", "args": {"name": model["program"]}})
    return {"traceEvents": found, "displayTimeUnit": "ms"}


def _step_behind(story: Story, event: int) -> int:
    """The begin of the step that is behind an event; -1 if none is."""
    cause = story.model["events"]["cause"]
    while event >= 0 and story.kind(event) != "begun":
        event = cause[event]
    return event


def _flow(
    found: list[dict[str, Any]], number: int, start: tuple[int, float], end: tuple[int, float]
) -> None:
    common = {"pid": 1, "id": number, "name": "queued by", "cat": "why"}
    found.append({"ph": "s", "tid": start[0], "ts": start[1], **common})
    found.append({"ph": "f", "bp": "e", "tid": end[0], "ts": end[1], **common})
