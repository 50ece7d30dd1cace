"""A failure in words: what departed from FIFO, where, and what ran meanwhile."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterator, Sequence

from miniloop.study.awaiting import Place
from miniloop.testing.schedule import CANCEL_READY, HOLD, LATE, Departure, Schedule
from miniloop.testing.trace import Held, Mishap, Step, Trace

__all__ = ["ALWAYS", "CANCELLATION", "LATENESS", "ORDER", "tell", "verdict_of"]

ALWAYS = "always"
LATENESS = "lateness"
ORDER = "order"
CANCELLATION = "cancellation"

_MEANING = {
    ALWAYS: "It fails in plain FIFO order, with nothing late: no schedule is needed.",
    LATENESS: (
        "It needs only that something is late (a timer, I/O, a thread, a slow step): "
        "any loop may do that."
    ),
    ORDER: (
        "It relies on the order of tasks that are ready together. "
        "Today's asyncio runs them first in, first out; nothing promises that it will."
    ),
    CANCELLATION: "It needs only a cancellation at that point, which any caller may send.",
}

# Which steps are listed: some before the first departure, those that follow, and the last.
STEPS_BEFORE = 4
STEPS_SHOWN = 18
STEPS_AT_THE_END = 4
FAULTS_SHOWN = 12


def verdict_of(schedule: Schedule, trace: Trace) -> str:
    """What the failure needs."""
    if not schedule:
        return ALWAYS
    kinds = {each.kind for each in schedule}
    if any(not held.late_by_nature for held in trace.held):
        return ORDER
    return LATENESS if kinds & {HOLD, LATE} or schedule.world else CANCELLATION


def tell(
    schedule: Schedule,
    trace: Trace,
    verdict: str,
    network_log: Sequence[tuple[float, str]] = (),
) -> str:
    """A run in words: the departures, the steps around them, and what happened to the network."""
    lines = [_MEANING[verdict]]
    if schedule.world:
        lines.append(
            f"In the network of world {schedule.world}: how long packets take there, "
            "which are lost, and the faults there, make it fail."
        )
    if network_log:
        lines.append("What happened to the network:")
        lines += [f"  at {seconds:g} s  {what}" for seconds, what in network_log[:FAULTS_SHOWN]]
        if len(network_log) > FAULTS_SHOWN:
            lines.append(f"  ... {len(network_log) - FAULTS_SHOWN} more")
    if schedule.departures:
        count = len(schedule)
        lines.append(
            "One departure from FIFO makes it fail:"
            if count == 1
            else f"{count} departures from FIFO make it fail:"
        )
        for number, departure in enumerate(schedule, 1):
            lines += _indented(_departure(departure, trace), f"  {number}. ", "     ")
    lines.append("What ran, step by step:")
    lines += _steps(trace)
    return "\n".join(lines)


def _departure(departure: Departure, trace: Trace) -> Iterator[str]:
    if departure.kind == HOLD:
        for held in trace.held:
            if not departure.who or (held.who, held.run) == (departure.who, departure.run):
                yield from _hold(held, trace.steps)
                return
        yield f"{departure} (it did not come to that)"
        return
    for mishap in trace.mishaps:
        if (mishap.who, mishap.run) == (departure.who, departure.run) and (
            (mishap.kind == LATE) is (departure.kind == LATE)
        ):
            yield _mishap(mishap)
            return
    yield f"{departure} (it did not come to that)"


def _hold(held: Held, steps: list[Step]) -> Iterator[str]:
    where = f" at {_line(held.place)}" if held.place is not None else ""
    if held.place is not None and held.run == 1:
        where = f" before it began ({_short(held.place)})"
    meanwhile = [
        step
        for step in steps
        if held.begin <= step.number and (held.end is None or step.number < held.end)
    ]
    count = f"{len(meanwhile)} step{'' if len(meanwhile) == 1 else 's'}"
    what = "came late" if held.late_by_nature else "was held back"
    yield f"`{held.who}` {what}{where}, by {count}. Meanwhile"
    ways: dict[str, list[Step]] = {}
    for step in meanwhile:
        ways.setdefault(step.who, []).append(step)
    for who, taken in ways.items():
        yield f"  `{who}` {_way(taken)}"
    if held.end is not None:
        yield f"Then `{held.who}` went on."


def _way(steps: list[Step]) -> str:
    """From where to where some steps of one task have led."""
    first, last = steps[0], steps[-1]
    if not first.is_task:
        return "ran"
    begin = "began" if first.run == 1 else f"went on from {_line(first.before)}"
    end = "and ended" if last.after is None else f"to {_line(last.after)}"
    if begin == "began" and last.after is not None:
        end = f"and came {end}"
    times = f" in {len(steps)} steps" if len(steps) > 1 else ""
    return f"{begin} {end}{times}"


def _mishap(mishap: Mishap) -> str:
    where = f" at {_line(mishap.place)}" if mishap.place is not None else ""
    if mishap.kind == LATE:
        way = f" on its way to {_line(mishap.place)}" if mishap.place is not None else ""
        return f"`{mishap.who}` was slow{way}: {mishap.seconds:g} s passed, and a timer came due"
    when = "when it was about to go on" if mishap.kind == CANCEL_READY else "as it waited"
    return f"`{mishap.who}` was cancelled {when}{where}"


def _steps(trace: Trace) -> Iterator[str]:
    """The end of the run, and a line for each step of a task; departures stand where they were."""
    held = {(each.who, each.run): each for each in trace.held}
    marks: dict[int, list[str]] = {}
    for mishap in trace.mishaps:  # these come before the choice at which somebody is held back
        marks.setdefault(mishap.step, []).append(_mishap(mishap))
    for each in trace.held:
        marks.setdefault(each.begin, []).append(f"`{each.who}` is held back here")
    told = [
        step
        for step in trace.steps
        if step.is_task or step.number in marks or (step.who, step.run) in held
    ]
    if marks:
        begin = max(0, sum(step.number < min(marks) for step in told) - STEPS_BEFORE)
    else:
        begin = max(0, len(told) - STEPS_SHOWN)
    shown = [*told[begin : begin + STEPS_SHOWN], *told[begin + STEPS_SHOWN :][-STEPS_AT_THE_END:]]
    width = min(40, max((len(step.who) for step in shown), default=0))
    last = 0
    for step in shown:
        left_out = sum(last < each.number < step.number for each in told)
        if left_out:
            yield f"    ... {left_out} steps"
        last = step.number
        for mark in marks.get(step.number, ()):
            yield f"  > {mark}"
        mark = "  (held back until here)" if (step.who, step.run) in held else ""
        yield f"    {step.number:4} {step.who:{width}}  {_what(step)}{mark}"


def _what(step: Step) -> str:
    if not step.is_task:
        return "(callback)"
    begin = "begins" if step.run == 1 else _short(step.before)
    if step.after is None:
        return f"{begin} -> ends"
    return f"{begin} -> {_short(step.after)}  {_source(step.after)}".rstrip()


def _short(place: Place | None) -> str:
    return "?" if place is None else f"{os.path.basename(place.path)}:{place.line}"


def _source(place: Place | None) -> str:
    return "" if place is None else linecache.getline(place.path, place.line).strip()


def _line(place: Place | None) -> str:
    source = _source(place)
    return f"{_short(place)} ({source})" if source else _short(place)


def _indented(lines: Iterator[str], first: str, rest: str) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield (rest if number else first) + line
