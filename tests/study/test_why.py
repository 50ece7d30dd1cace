"""Why each step ran: compared with an independent trace, with what is known, and in words.

The trace knows nothing of the recorder. The interpreter tells it (`sys.settrace`) of each call of
the few functions through which things are queued and finished, and it notes which step ran then,
and from which line of this file the call came.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import miniloop
from miniloop.kernel import task
from miniloop.kernel.future import Future
from miniloop.kernel.handle import Handle
from miniloop.kernel.scheduler import Scheduler
from miniloop.kernel.task import Task
from miniloop.study import recording
from miniloop.study.causes import chain
from miniloop.study.difference import difference
from miniloop.study.perfetto import trace
from tests.builds import pure_only
from tests.study.recorded import Recorded, recorded

pytestmark = pure_only

Seen = tuple[str, int | None, int]  # what, the line of this file, and the number of the step

_STEPS = {Task._run.__code__, Handle._run.__code__}
_CALLS: dict[CodeType, str] = {
    Scheduler.call_soon.__code__: "queued",
    task.new_task.__code__: "created",
    Scheduler.call_later.__code__: "timer set",
    Scheduler.call_at.__code__: "timer set",
    Future.set_result.__code__: "finished",
    Task.cancel.__code__: "cancel",
}


class Trace:
    """What the interpreter says of the steps of a loop and of what is done in them."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.steps = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code in _STEPS:
            # The step of a task that waited for a future in C is within that of a handle.
            outer = frame.f_back
            self.steps += outer is None or outer.f_code is not Task._wakeup.__code__
        elif frame.f_code in _CALLS:
            self.seen.append((_CALLS[frame.f_code], _line(frame), self.steps))


def _line(frame: FrameType | None) -> int | None:
    while frame is not None and frame.f_code not in _STEPS:
        if frame.f_code.co_filename == __file__:
            return frame.f_lineno
        frame = frame.f_back
    return None


def told_by(recorded: Recorded) -> list[Seen]:
    """The same, as the recording has it."""
    events, places, files = (recorded.model[name] for name in ("events", "places", "files"))
    found: list[Seen] = []
    step = 0
    for event in range(len(events["kind"])):
        kind, place = recorded.kind(event), events["place"][event]
        cause = events["cause"][event]
        line = None
        if place >= 0 and files[places[place][0]]["path"] == __file__:
            line = places[place][1]
        if kind == "begun":
            step += 1
        elif kind == "queued":
            own = events["thing"][event] == events["other"][event]
            by_step = cause < 0 or recorded.kind(cause) == "begun"
            is_handle = recorded.model["things"]["kind"][events["thing"][event]] == "handle"
            if is_handle and by_step and not own:
                found.append((kind, line, step))
        elif kind in ("created", "timer set", "cancel"):
            found.append((kind, line, step))
        elif kind == "finished" and events["extra"][event] == 0:
            thing = events["thing"][event]
            if recorded.name(thing) == "_GatheringFuture":
                # In C: the trace sees that it has its callback queued.
                found.append(("queued", line, step))
            elif recorded.model["things"]["kind"][thing] == "future":
                found.append((kind, line, step))
    return found


async def everything() -> None:
    loop = asyncio.get_running_loop()

    async def worker(queue: asyncio.Queue[int], future: asyncio.Future[int]) -> int:
        await asyncio.sleep(0)
        queue.put_nowait(await future)
        await asyncio.sleep(0.001)
        return 1

    async def sleeper() -> None:
        await asyncio.sleep(60)

    queue: asyncio.Queue[int] = asyncio.Queue()
    futures = [loop.create_future() for _ in range(3)]
    tasks = [loop.create_task(worker(queue, future)) for future in futures]
    sleeping = loop.create_task(sleeper())
    for future in futures:
        loop.call_soon(future.set_result, 1)
        await queue.get()
    loop.call_later(0.001, sleeping.cancel)
    early = loop.create_future()
    early.set_result(None)
    await early
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    await asyncio.wait([sleeping])
    async with asyncio.timeout(10):
        await asyncio.sleep(0.001)


def test_each_call_is_told_with_its_line_and_its_step_as_a_trace_has_it(tmp_path: Path) -> None:
    loop = miniloop.new_event_loop()
    independent, before = Trace(), sys.gettrace()
    try:
        with recording(tmp_path / "run", loop=loop):
            main = loop.create_task(everything())
            main.add_done_callback(lambda _: loop.stop())
            sys.settrace(independent)
            try:
                loop.run_forever()
            finally:
                sys.settrace(before)
    finally:
        loop.close()
    told = Recorded(tmp_path / "run")
    assert independent.steps == len(told.steps) > 20
    created_before = 1
    assert told_by(told)[created_before:] == independent.seen
    assert {what for what, _, _ in independent.seen} == set(_CALLS.values())


# Ten steps, each the last of its task. Its causes: what they are, and the mark of their lines.

Expected = list[tuple[str, str]]
TEN: list[tuple[Callable[[], Coroutine[Any, Any, None]], Expected]] = []


def because(*expected: tuple[str, str]) -> Callable[[Any], Any]:
    def add(main: Any) -> Any:
        TEN.append((main, list(expected)))
        return main

    return add


@because(("begun", "b"), ("queued", "b"), ("begun", "a"), ("queued", "start"))
async def gives_way() -> None:  # a
    await asyncio.sleep(0)  # b


@because(
    ("begun", "c"),
    *(("queued", "b"), ("finished", "b"), ("begun", "b")),
    *(("queued", "a"), ("begun", "main"), ("queued", "start")),
)
async def waits_for_a_callback() -> None:  # main
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: future.set_result(None))  # a # b
    await future  # c


async def child() -> None:  # child
    pass


@because(
    ("begun", "a"),
    *(("queued", ""), ("finished", ""), ("begun", "child")),
    *(("queued", "a"), ("begun", "main"), ("queued", "start")),
)
async def waits_for_a_task() -> None:  # main
    await asyncio.create_task(child())  # a


@because(
    ("begun", "a"),
    ("queued", ""),
    ("finished", ""),
    ("begun", ""),
    ("queued", ""),
    ("timer due", ""),
)
async def sleeps() -> None:
    await asyncio.sleep(0.001)  # a


@because(
    ("begun", "b"),
    ("queued", "a"),
    ("finished", "a"),
    ("begun", "a"),
    ("queued", ""),
    ("ready", ""),
)
async def waits_for_a_descriptor() -> None:
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    near, far = socket.socketpair()
    with near, far:
        loop.add_reader(near, lambda: came.set_result(None))  # a
        far.send(b"x")
        await came  # b
        loop.remove_reader(near)


@because(("begun", "a"), ("queued", ""), ("finished", ""), ("ready", ""))
async def receives() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.call_later(0.001, far.send, b"x")
        await loop.sock_recv(near, 1)  # a


@because(
    ("begun", "a"), ("queued", ""), ("finished", ""), ("begun", ""), ("queued", ""), ("handed", "")
)
async def waits_for_a_thread() -> None:
    reader, writer = os.pipe()
    asyncio.get_running_loop().call_later(0.001, os.write, writer, b"x")
    await asyncio.get_running_loop().run_in_executor(None, os.read, reader, 1)  # a
    os.close(reader)
    os.close(writer)


@because(
    ("begun", "b"),
    ("queued", "a"),
    ("finished", "a"),
    ("begun", "a"),
    ("queued", ""),
    ("signal", ""),
)
async def waits_for_a_signal() -> None:
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, lambda: came.set_result(None))  # a
    os.kill(os.getpid(), signal.SIGUSR1)
    await came  # b
    loop.remove_signal_handler(signal.SIGUSR1)


@because(
    ("begun", "a"),
    *(("queued", "b"), ("finished", "b"), ("begun", "b")),
    *(("queued", ""), ("timer due", "")),
)
async def is_cancelled() -> None:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().call_later(0.001, lambda: this.cancel())  # b
    try:
        await asyncio.get_running_loop().create_future()  # a
    except asyncio.CancelledError:
        this.uncancel()


@because(
    ("begun", "d"),
    *(("queued", "c"), ("finished", "c"), ("begun", "c"), ("queued", "c")),
    *(("begun", "b"), ("created", "a"), ("begun", "main"), ("queued", "start")),
)
async def waits_for_an_eager_step() -> None:  # main
    loop: Any = asyncio.get_running_loop()
    future = loop.create_future()

    async def finish() -> None:  # b
        loop.call_soon(lambda: future.set_result(None))  # c

    loop.create_task(finish(), eager_start=True)  # a
    await future  # d


@pytest.mark.parametrize(("main", "expected"), TEN, ids=[main.__name__ for main, _ in TEN])
def test_the_causes_of_a_step_are_what_they_are_known_to_be(
    main: Callable[[], Coroutine[Any, Any, None]], expected: Expected
) -> None:
    told = recorded(main)
    events = chain(told.model, told.last_step_of(main.__name__))
    assert [told.kind(event) for event in events] == [kind for kind, _ in expected]
    for event, (kind, mark) in zip(events, expected, strict=True):
        text = told.text(event)
        if mark == "start":
            assert "run_until_complete" in text
        elif mark:
            assert mark in re.findall(r"# (\w+)", text), (kind, text)
    # And each is told in a sentence, with a line where there is one of the program.
    sentences = told.why(told.first_step + told.steps.index(events[0]))
    assert sentences[0].startswith(f"step {told.first_step + told.steps.index(events[0])}: task ")
    assert all("test_why.py:" in line or "recorded.py" in line for line in sentences[:1])


def test_sentences_say_who_when_and_where() -> None:
    told = recorded(waits_for_a_thread)
    number = told.first_step + told.steps.index(told.last_step_of("waits_for_a_thread"))
    first, *rest = told.why(number)
    here = r"test_why\.py:\d+"
    assert re.fullmatch(rf"step {number}: task waits_for_a_thread ran at {here}", first)
    assert re.fullmatch(
        r"it waited for a future, which was finished by callback CallInThread._take", rest[0]
    )
    assert re.fullmatch(
        rf"thread miniloop_0 handed callback CallInThread._take over at \w+\.py:\d+: "
        rf"task waits_for_a_thread had given the call to an executor at {here}",
        rest[-1],
    )
    told = recorded(sleeps)
    why = told.why(told.first_step + told.steps.index(told.last_step_of("sleeps")))
    assert re.search(
        rf"\ntimer end of sleep was due, \d+\.\d\d ms ago: task sleeps had set it at {here}(\n|$)",
        "\n".join(why),
    )


def test_a_late_timer_is_told_with_the_step_that_held_the_loop() -> None:
    def delayed() -> None:
        pass

    async def holds() -> None:
        asyncio.get_running_loop().call_later(0.01, delayed)
        await asyncio.sleep(0)
        time.sleep(0.12)
        await asyncio.sleep(0.001)

    told = recorded(holds)
    (due,) = (event for event in told.events("timer due") if "delayed" in told.sentence(event))
    cause = told.model["events"]["cause"]
    (number,) = (told.number_of(begun) for begun in told.steps if cause[cause[begun]] == due)
    held = r"step \d+ held the loop for \d+\.\d\d ms: task .*holds, from test_why\.py:\d+ to .*"
    assert re.fullmatch(held, told.why(number)[-1])
    assert re.search(
        rf"^{held}\n  timer .*delayed was \d+\.\d\d ms late; task .*holds had set it at test_",
        "\n".join(told.lateness.report()),
        re.M,
    )
    assert any(re.search(r"held the loop for \d+", line) for line in told.turns())


def test_a_pipe_whose_peer_hung_up_is_readable_to_who_reads_and_writable_to_who_writes() -> None:
    async def hang_up() -> None:
        loop = asyncio.get_running_loop()
        for watches, closed, watch in ((0, 1, loop.add_reader), (1, 0, loop.add_writer)):
            ends = os.pipe()
            ready = loop.create_future()
            os.close(ends[closed])
            watch(ends[watches], lambda ready=ready: ready.done() or ready.set_result(None))
            await ready
            (loop.remove_writer if watches else loop.remove_reader)(ends[watches])
            os.close(ends[watches])

    told = recorded(hang_up)
    roots = [told.sentence(event) for event in told.events("ready")]
    # On a busy machine the kernel may be asked, and tell of it, again before it is watched no more.
    assert list(dict.fromkeys(re.sub(r"\d+", "N", sentence) for sentence in roots)) == [
        "pipe N was readable",
        "pipe N was writable",
    ]


def test_a_step_that_is_not_there_is_refused() -> None:
    told = recorded(gives_way)
    with pytest.raises(IndexError, match=f"from 1 to {len(told.steps)}"):
        told.why(len(told.steps) + 1)


def test_a_trace_for_perfetto_has_a_lane_for_each_task_and_an_arrow_for_each_cause() -> None:
    told = recorded(everything)
    found = trace(told.model)["traceEvents"]
    lanes = {event["args"]["name"] for event in found if event.get("name") == "thread_name"}
    assert {"the loop", "callbacks", "task everything"} <= lanes
    starts = {event["id"]: event for event in found if event["ph"] == "s"}
    ends = {event["id"]: event for event in found if event["ph"] == "f"}
    assert starts.keys() == ends.keys()
    assert all(starts[number]["ts"] <= ends[number]["ts"] for number in starts)
    steps = [event for event in found if event["ph"] == "X" and event["cat"] == "step"]
    assert len(steps) == len(told.steps)
    assert all(event["dur"] > 0 for event in steps)


def test_the_first_step_at_which_two_recordings_part_is_found() -> None:
    async def race(first: float, second: float) -> None:
        await asyncio.wait(
            [
                asyncio.create_task(asyncio.sleep(first), name="one"),
                asyncio.create_task(asyncio.sleep(second), name="other"),
            ]
        )

    one, other, again = (
        recorded(lambda delays=delays: race(*delays))  # type: ignore[misc]
        for delays in ((0.001, 0.1), (0.1, 0.001), (0.001, 0.1))
    )
    assert difference(one.model, again.model) is None
    found = difference(one.model, other.model)
    assert found is not None
    assert "then they part" in found
    assert "task one" in found
    assert "task other" in found
