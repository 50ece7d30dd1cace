"""What a recording tells of a loop: every kind of event, with who, where and why."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest

import miniloop
from miniloop.kernel.contract import Joints
from miniloop.study import recording
from tests.builds import pure_only
from tests.study.recorded import Recorded, recorded

pytestmark = pure_only


def test_a_task_that_gives_way_is_queued_again_by_itself() -> None:
    async def main() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    told = recorded(main)
    name = told.about(told.steps[0])[0]
    assert name.endswith("main")
    assert [told.about(step)[0] for step in told.steps[:3]] == [name] * 3
    again = [event for event in told.events("queued") if told.about(event)[:2] == (name, name)]
    assert [told.text(event) for event in again] == ["await asyncio.sleep(0)"] * 2
    assert told.kind(chain_of(told, told.steps[1])[1]) == "queued"
    assert told.text(told.steps[1]) == "await asyncio.sleep(0)", "where it goes on"


def chain_of(told: Recorded, event: int) -> list[int]:
    cause = told.model["events"]["cause"]
    return [event, *chain_of(told, cause[event])] if event >= 0 else []


def test_the_line_is_that_of_the_innermost_coroutine_of_the_program() -> None:
    async def inner() -> None:
        await asyncio.sleep(0)  # here

    async def main() -> None:
        await asyncio.wait_for(inner(), 10)

    told = recorded(main)
    (waiting,) = [event for event in told.events("suspended") if "here" in told.text(event)]
    assert told.text(waiting) == "await asyncio.sleep(0)  # here"


def test_a_future_that_is_finished_tells_by_whom_and_where() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def finish() -> None:
            future.set_result(None)  # here

        loop.call_soon(finish)
        await future

    told = recorded(main)
    (event,) = [event for event in told.events("finished") if "here" in told.text(event)]
    assert told.about(event)[1:] == (finished_by(told, "finish"), 0)
    assert [kind for kind, _ in told.causes(told.last_step_of(main_of(told)))] == [
        *("begun", "queued", "finished", "begun", "queued", "begun", "queued")
    ]


def main_of(told: Recorded) -> str:
    return told.about(told.steps[0])[0]


def finished_by(told: Recorded, ending: str) -> str:
    names = {told.about(event)[1] for event in told.events("finished")}
    return next(name for name in names if name.endswith(ending))


@pytest.mark.parametrize("how", ["result", "exception", "cancelled"])
def test_a_future_that_is_done_before_anybody_waits_is_seen(how: str) -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        if how == "result":
            future.set_result(1)  # here
        elif how == "exception":
            future.set_exception(ValueError)  # here
        else:
            future.cancel()  # here
        await asyncio.wait([future])

    told = recorded(main)
    (event,) = [event for event in told.events("finished") if "# here" in told.text(event)]
    outcome = ("result", "exception", "cancelled").index(how)
    assert told.about(event) == ("future", main_of(told), outcome)


def test_a_future_that_is_done_already_is_not_finished_again() -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        future.set_result(1)
        with pytest.raises(asyncio.InvalidStateError):
            future.set_result(2)
        assert not future.cancel()

    told = recorded(main)
    assert [about[0] for about in told.all_about("finished")].count("future") == 1


@pytest.mark.parametrize("how", ["factory", "argument", "class"])
def test_an_eager_first_step_is_a_step_inside_of_another(how: str) -> None:
    async def quick() -> int:
        return 1

    async def slow() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, miniloop.EventLoop)
        if how == "factory":
            loop.set_task_factory(miniloop.eager_task_factory)
            tasks = [asyncio.create_task(quick()), asyncio.create_task(slow())]
        elif how == "argument":
            tasks = [loop.create_task(coro(), eager_start=True) for coro in (quick, slow)]
        else:
            tasks = [miniloop.Task(coro(), loop=loop, eager_start=True) for coro in (quick, slow)]
        assert tasks[0].done()
        await tasks[1]

    told = recorded(main)
    steps = [told.about(step)[0].rpartition(".")[2] for step in told.steps[:4]]
    assert steps == ["main", "quick", "slow", "slow"]
    assert told.causes(told.steps[1])[1][0] == "created"
    assert told.causes(told.steps[1])[2] == ("begun", main_of(told))
    ended = [about[0] for about in told.all_about("ended")]
    assert ended[0].endswith("quick"), "before the step that it is inside of"


def test_a_timer_is_set_comes_due_and_is_late() -> None:
    async def main() -> None:
        await asyncio.sleep(0.05)  # here; so long that it is not over before the loop waits

    told = recorded(main)
    (was_set,) = [event for event in told.events("timer set") if "# here" in told.text(event)]
    (due,) = [event for event in told.events("timer due") if told.about(event)[0] == "end of sleep"]
    deadline = told.about(was_set)[2]
    assert told.about(due)[2] > 0
    time = told.model["events"]["time"]
    assert time[told.steps[0]] < deadline <= time[was_set] + 50_000_000
    assert time[due] >= deadline
    waits = [about[2] for about in told.all_about("wait")]
    assert any(0 < asked <= 50_000_000 for asked in waits)
    assert told.causes(told.last_step_of(main_of(told)))[-1] == ("timer due", "end of sleep")


def test_cancelled_timers_are_seen_to_go_one_by_one_or_swept() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for timer in [loop.call_later(60, print) for _ in range(300)]:
            timer.cancel()
        loop.call_later(0.001, print).cancel()
        await asyncio.sleep(0.003)

    told = recorded(main)
    cancelled = {told.model["events"]["thing"][event] for event in told.events("timer cancelled")}
    swept = {told.model["events"]["thing"][event] for event in told.events("swept")}
    assert len(cancelled) == 301
    assert swept <= cancelled
    assert len(swept) > 200


def test_a_request_to_cancel_names_who_asked() -> None:
    async def sleeper() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(sleeper(), name="sleeper")
        await asyncio.sleep(0)
        task.cancel()  # here
        await asyncio.wait([task])

    told = recorded(main)
    (event,) = told.events("cancel")
    assert told.about(event)[:2] == ("sleeper", main_of(told))
    assert told.text(event) == "task.cancel()  # here"
    assert ("sleeper", "", 2) in told.all_about("ended")
    assert told.causes(told.last_step_of("sleeper"))[2] == ("finished", "future")


def test_a_descriptor_tells_what_it_is_and_for_whom_it_was_ready() -> None:
    near, far = socket.socketpair()
    with near, far:

        async def main() -> None:
            loop = asyncio.get_running_loop()
            reader, writer = await asyncio.open_connection(sock=near)
            loop.call_later(0.002, far.send, b"line\n")
            await reader.readline()
            writer.close()
            await writer.wait_closed()

        number = near.fileno()
        told = recorded(main)
    names = [about[0] for about in told.all_about("watched")]
    assert f"socket {number}" in names
    ready = [about for about in told.all_about("ready") if about[0] == f"socket {number}"]
    assert ready == [(f"socket {number}", "StreamTransport._read_ready", 1)]
    last = [event for event in told.events("begun") if "readline" in told.text(event)][-1]
    assert told.causes(last)[-1] == ("ready", f"socket {number}")
    assert f"socket {number}" in [about[0] for about in told.all_about("unwatched")]


def test_a_bare_socket_that_is_waited_for_is_seen_as_well() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.call_later(0.002, far.send, b"x")
            await loop.sock_recv(near, 1)

        told = recorded(main)
    # Registered for both directions, it was also told once that there is room to write.
    (event,) = [event for event in told.events("ready") if told.about(event)[2] & 1]
    assert told.about(event)[1] == "future"
    assert told.causes(told.last_step_of(main_of(told)))[-1][0] == "ready"


def test_what_a_thread_hands_over_leads_back_to_who_gave_it_the_call() -> None:
    async def main() -> None:
        begun = threading.Event()
        call = asyncio.get_running_loop().run_in_executor(None, begun.wait)  # here
        asyncio.get_running_loop().call_later(0.002, begun.set)
        await call

    told = recorded(main)
    (busy,) = told.events("thread busy")
    assert told.text(busy).endswith("# here")
    (handed,) = [
        event for event in told.events("handed") if told.about(event)[1].startswith("thread mini")
    ]
    assert told.model["events"]["cause"][handed] == busy
    assert told.causes(told.last_step_of(main_of(told)))[-1][0] == "handed"
    assert [about[2] for about in told.all_about("thread busy", "thread idle")] == [1, 0]


def test_a_signal_is_behind_what_its_handler_does() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        came = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, came.set_result, None)
        os.kill(os.getpid(), signal.SIGUSR1)
        await came
        loop.remove_signal_handler(signal.SIGUSR1)

    told = recorded(main)
    assert told.all_about("signal") == [("SIGUSR1", "", signal.SIGUSR1)]
    assert told.causes(told.last_step_of(main_of(told)))[-1] == ("signal", "SIGUSR1")


def test_a_callback_that_fails_and_an_exception_that_nobody_saw_are_told() -> None:
    def fail() -> None:
        raise ValueError("in a callback")  # here

    async def fail_too() -> None:
        raise KeyError("in a task")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        loop.call_soon(fail)
        asyncio.create_task(fail_too(), name="fails unseen")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    told = recorded(main)
    failed = [(about[0], told.string(about[2])) for about in told.all_about("failed")]
    assert (failed[0][0].endswith("fail"), failed[0][1]) == (True, "ValueError: in a callback")
    assert failed[1] == ("fails unseen", "KeyError: 'in a task'")
    assert told.text(next(told.events("failed"))).endswith("# here")
    unseen = [(about[0], told.string(about[2])) for about in told.all_about("unseen")]
    assert unseen == [("fails unseen", "KeyError: 'in a task'")]


def test_a_task_waits_for_another_one_and_is_woken_by_its_end() -> None:
    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.create_task(child(), name="child")

    told = recorded(main)
    assert (main_of(told), "child", 0) in told.all_about("suspended")
    assert told.causes(told.last_step_of(main_of(told)))[2] == ("finished", "child")
    tree = told.model["things"]["parent"]
    names = [told.name(thing) for thing in range(len(tree))]
    assert tree[names.index("child")] == names.index(main_of(told))


def test_futures_of_asyncios_own_make_are_followed_too() -> None:
    async def main() -> None:
        future = asyncio.Future()  # type: ignore[var-annotated]  # in C
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

    told = recorded(main)
    assert {kind for kind, _ in told.causes(told.last_step_of(main_of(told)))} >= {"finished"}
    waited = [about[1] for about in told.all_about("suspended") if about[0] == main_of(told)]
    assert "_GatheringFuture" in waited


def test_debug_mode_and_a_task_factory_change_nothing_in_what_is_seen() -> None:
    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(print).cancel()
        await asyncio.create_task(child(), name="child")
        await asyncio.sleep(0.001)

    def kinds(told: Recorded) -> list[tuple[str, str]]:
        return [
            (told.kind(event), told.about(event)[0])
            for event in told.events("begun", "queued", "suspended", "ended", "timer set")
        ]

    plain = kinds(recorded(main))
    loop = miniloop.new_event_loop()
    loop.set_debug(True)
    assert kinds(recorded(main, loop)) == plain
    loop = miniloop.new_event_loop()
    loop.set_task_factory(lambda loop, coro, **kwargs: miniloop.Task(coro, loop=loop, **kwargs))
    assert kinds(recorded(main, loop)) == plain


def test_tasks_of_asyncios_own_class_are_told_as_tasks() -> None:
    async def child(future: asyncio.Future[None]) -> None:
        await asyncio.sleep(0)
        future.set_result(None)

    async def fail() -> None:
        await asyncio.sleep(0.001)
        raise ValueError

    async def main() -> None:
        for future in (asyncio.get_running_loop().create_future(), asyncio.Future()):
            task = asyncio.create_task(child(future), name="child")
            await future
            await task
        await asyncio.gather(fail(), return_exceptions=True)
        waiting = asyncio.create_task(asyncio.Event().wait(), name="waiting")
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    def told_of(factory: Any) -> list[tuple[str, str, str]]:
        loop = miniloop.new_event_loop()
        loop.set_task_factory(factory)
        told = recorded(main, loop)
        return [
            (told.kind(event), *(re.sub(r" \(Task-\d+\)", "", part) for part in told._parts(event)))
            for event in told.events("begun", "suspended", "ended", "failed")
        ]

    in_c = told_of(lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options))
    assert in_c == told_of(None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_a_task_of_asyncios_own_class_that_began_eagerly_has_its_name_and_line() -> None:
    async def child() -> None:
        await asyncio.sleep(0.001)
        await asyncio.sleep(0)

    async def main() -> None:
        eager: Any = {"loop": asyncio.get_running_loop(), "eager_start": True}
        await asyncio.gather(*(asyncio.Task(child(), name=name, **eager) for name in "ab"))

    told = recorded(main)
    for name in "ab":
        steps = [event for event in told.steps if told.about(event)[0] == name]
        assert [told.thing(told._events["thing"][step]) for step in steps] == [f"task {name}"] * 2
        assert [told.text(step) for step in steps] == [
            "await asyncio.sleep(0.001)",
            "await asyncio.sleep(0)",
        ]


def test_a_recorder_that_is_put_in_while_the_loop_runs_knows_who_runs(tmp_path: Path) -> None:
    async def other() -> None:
        asyncio.get_running_loop().call_soon(print_nothing)  # of the other one
        await asyncio.sleep(0)

    def print_nothing() -> None:
        pass

    async def waiting(event: asyncio.Event) -> None:
        await event.wait()

    async def main() -> None:
        event = asyncio.Event()
        tasks = [asyncio.create_task(waiting(event), name="waits")]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(other(), name="other"))
        with recording(tmp_path / "part.miniloop"):
            asyncio.get_running_loop().call_soon(print_nothing)  # of main
            await asyncio.sleep(0)
            event.set()
            await asyncio.wait(tasks)

    miniloop.run(main())
    told = Recorded(tmp_path / "part.miniloop")
    by = {
        told.text(event).partition("# ")[2]: told.about(event)[1] for event in told.events("queued")
    }
    assert by["of the other one"] == "other"
    assert by["of main"].endswith("main")
    assert ("waits", "future", 0) in told.all_about("suspended"), "before it was put in"
    assert told.causes(told.last_step_of("waits"))[2] == ("finished", "future")


def test_two_recordings_at_once_tell_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        with recording(tmp_path / "outer"):
            await asyncio.sleep(0)
            with recording(tmp_path / "inner"):
                await asyncio.sleep(0)
                await asyncio.create_task(asyncio.sleep(0.001), name="child")
            await asyncio.sleep(0)

    miniloop.run(main())
    outer, inner = Recorded(tmp_path / "outer"), Recorded(tmp_path / "inner")
    steps = [[told.about(step)[0] for step in told.steps] for told in (outer, inner)]
    joined = " ".join(steps[0])
    assert " ".join(steps[1][:4]) in joined
    assert inner.causes(inner.last_step_of("child"))[-1] == ("timer due", "end of sleep")
    assert outer.causes(outer.last_step_of("child"))[-1] == ("timer due", "end of sleep")


class LastFirst(deque[Any]):
    def popleft(self) -> Any:
        return self.pop()


class Reversing:
    def join(self, joints: Joints) -> Joints:
        def before_taking(ready: deque[Any]) -> deque[Any]:
            ready.rotate(1)
            return ready

        return joints._replace(before_taking=before_taking)

    def run_ended(self) -> None:
        pass


@pytest.mark.parametrize("how", ["queue", "observer"])
def test_another_order_is_recorded_as_it_was(how: str) -> None:
    order: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        both = loop.create_future()

        def first() -> None:
            called(1)

        def second() -> None:
            called(2)

        def called(number: int) -> None:
            order.append(number)
            if len(order) == 2:
                both.set_result(None)

        loop.call_soon(first)
        loop.call_soon(second)
        await both

    loop = miniloop.EventLoop(ready=LastFirst() if how == "queue" else None)
    if how == "observer":
        loop.observe(Reversing())
    told = recorded(main, loop)
    names = [told.about(step)[0].rpartition(".")[2] for step in told.steps]
    ran = [name for name in names if name in ("first", "second")]
    assert order == [2, 1]
    assert ran == ["second", "first"]


def test_loops_that_run_one_after_the_other_are_in_one_recording(tmp_path: Path) -> None:
    async def first() -> None:
        await asyncio.sleep(0)

    async def second() -> None:
        await asyncio.sleep(0)

    with recording(tmp_path / "both"):
        miniloop.run(first())
        miniloop.run(second())
    told = Recorded(tmp_path / "both")
    names = [told.about(step)[0].rpartition(".")[2] for step in told.steps]
    assert names.index("first") < names.index("second")
    causes = told.model["events"]["cause"]
    assert all(cause < event for event, cause in enumerate(causes))


def test_only_loops_of_miniloop_can_be_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        with recording(tmp_path / "none"):
            pass

    with (
        asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        pytest.raises(TypeError, match="only loops of miniloop"),
    ):
        runner.run(main())


def test_every_cause_is_an_earlier_event_and_every_name_is_known() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(asyncio.sleep(0.001))
        await asyncio.to_thread(int)

    told = recorded(main)
    model = told.model
    for event, cause in enumerate(model["events"]["cause"]):
        assert cause < event
    for column in ("thing", "other"):
        assert max(model["events"][column]) < len(model["things"]["kind"])
    assert max(model["events"]["place"]) < len(model["places"])
    times = [model["events"]["time"][step] for step in told.steps]
    assert times == sorted(times)
    for table in model["events"], model["things"]:
        assert len({len(column) for column in table.values()}) == 1
