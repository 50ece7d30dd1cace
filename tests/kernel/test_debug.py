"""Debug mode: slow callbacks, wrong threads, origins, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import miniloop
from tests.builds import pure_only

Turn = Callable[[asyncio.AbstractEventLoop], None]
Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]


@pytest.fixture
def debug(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """A loop of each kind in debug mode."""
    loop.set_debug(True)
    return loop


async def coroutine_function() -> None:
    """Not a callback."""


# Slow callbacks.


def slow() -> None:
    time.sleep(0.02)


async def slow_step() -> None:
    time.sleep(0.02)


def test_a_slow_callback_is_logged(
    debug: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    debug.slow_callback_duration = 0.01
    debug.call_soon(slow)
    turn(debug)
    (record,) = caplog.records
    assert re.match(r"Executing <Handle slow\(\) at .*> took 0\.\d\d\d seconds", record.message)
    assert record.name == "asyncio"


def test_a_slow_timer_is_logged(
    debug: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    debug.slow_callback_duration = 0.01
    debug.call_at(0, slow)
    turn(debug)
    (record,) = caplog.records
    assert re.match(r"Executing <TimerHandle when=0 slow\(\) at .*> took 0\.\d", record.message)


def test_a_slow_step_of_a_task_is_logged(
    debug: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    debug.slow_callback_duration = 0.01
    debug.create_task(slow_step(), name="slow one")
    turn(debug)
    (record,) = caplog.records
    assert re.match(r"Executing <Task .*name='slow one' .*> took 0\.\d\d\d sec", record.message)


def test_what_is_quick_enough_is_not_logged(
    debug: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    debug.slow_callback_duration = 10
    debug.call_soon(slow)
    turn(debug)
    debug.set_debug(False)
    debug.slow_callback_duration = 0.001
    debug.call_soon(slow)
    turn(debug)
    assert caplog.records == []


def test_nothing_is_slow_by_less_than_a_tenth_of_a_second(loop: asyncio.AbstractEventLoop) -> None:
    assert loop.slow_callback_duration == 0.1


# The wrong thread.


def from_another_thread(call: Callable[[], object]) -> list[BaseException]:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return raised


@pytest.mark.parametrize(
    "call",
    [
        lambda loop: loop.call_soon(print),
        lambda loop: loop.call_later(1, print),
        lambda loop: loop.call_at(1, print),
    ],
    ids=["call_soon", "call_later", "call_at"],
)
def test_scheduling_from_the_wrong_thread_is_refused(
    debug: asyncio.AbstractEventLoop, call: Callable[[asyncio.AbstractEventLoop], object]
) -> None:
    async def main() -> list[BaseException]:
        return from_another_thread(lambda: call(debug))

    (error,) = debug.run_until_complete(main())
    assert isinstance(error, RuntimeError)
    assert "Non-thread-safe operation" in str(error)


def test_telling_those_who_wait_from_the_wrong_thread_is_refused(
    debug: asyncio.AbstractEventLoop,
) -> None:
    async def main() -> list[BaseException]:
        future = debug.create_future()
        future.add_done_callback(print)
        return from_another_thread(lambda: future.set_result(None))

    (error,) = debug.run_until_complete(main())
    assert "Non-thread-safe operation" in str(error)


def test_scheduling_from_another_thread_is_no_matter_while_the_loop_does_not_run(
    debug: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    ran: list[int] = []
    assert from_another_thread(lambda: debug.call_soon(ran.append, 1)) == []
    turn(debug)
    assert ran == [1]


def test_the_way_in_from_other_threads_stays_open(debug: asyncio.AbstractEventLoop) -> None:
    async def main() -> str:
        future = debug.create_future()
        raised = from_another_thread(
            lambda: debug.call_soon_threadsafe(future.set_result, "from the thread")
        )
        assert raised == []
        result: str = await future
        return result

    assert debug.run_until_complete(main()) == "from the thread"


# What is refused.


@pure_only
@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe"])
def test_coroutines_are_no_callbacks(debug: asyncio.AbstractEventLoop, method: str) -> None:
    call = getattr(debug, method)
    coroutine = coroutine_function()
    for wrong in (coroutine, coroutine_function):
        with pytest.raises(TypeError, match=f"coroutines cannot be used with {method}"):
            call(wrong)
    coroutine.close()
    with pytest.raises(TypeError, match=f"a callable object was expected by {method}"):
        call("text")


@pure_only
def test_what_is_refused_is_named_as_it_was_called(mini: miniloop.EventLoop) -> None:
    mini.set_debug(True)
    near, far = socket.socketpair()
    future = mini.create_future()
    calls: dict[str, Callable[[], object]] = {
        "add_reader": lambda: mini.add_reader(near, coroutine_function),
        "add_writer": lambda: mini.add_writer(near, coroutine_function),
        "add_signal_handler": lambda: mini.add_signal_handler(signal.SIGUSR1, coroutine_function),
        "add_done_callback": lambda: future.add_done_callback(coroutine_function),
        "run_in_executor": lambda: mini.run_in_executor(None, coroutine_function),
        "call_later": lambda: mini.call_later(1, coroutine_function),
        "call_at": lambda: mini.call_at(1, coroutine_function),
        "call_soon": lambda: mini.call_soon(coroutine_function),
        "call_soon_threadsafe": lambda: mini.call_soon_threadsafe(coroutine_function),
    }
    with near, far:
        for method, call in calls.items():
            with pytest.raises(TypeError, match=rf"coroutines cannot be used with {method}\(\)"):
                call()


@pure_only
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_coroutines_are_no_callbacks_of_timers(
    debug: asyncio.AbstractEventLoop, method: str
) -> None:
    call = getattr(debug, method)
    # In asyncio the one calls the other, and both errors name that.
    with pytest.raises(TypeError, match=rf"coroutines cannot be used with ({method}|call_at)\("):
        call(1, coroutine_function)
    with pytest.raises(TypeError, match=rf"a callable object was expected by ({method}|call_at)\("):
        call(1, "text")


# Where things were made.


def source_line(text: str) -> int:
    """The line that a repr names as the place of creation in this file."""
    match = re.search(r"created at (.*):(\d+)", text)
    assert match is not None, text
    assert match[1] == __file__
    return int(match[2])


def this_line() -> int:
    """The line of the caller."""
    return sys._getframe(1).f_lineno


def line_of(made: Any) -> int:
    """The line of this file in which a thing was made, as it remembers itself."""
    frame = made._source_traceback[-1]
    assert frame.filename == __file__, frame
    line: int = frame.lineno
    return line


def test_futures_know_where_they_were_made(mini: miniloop.EventLoop) -> None:
    mini.set_debug(True)
    future, line = mini.create_future(), this_line()
    assert source_line(repr(future)) == line  # in asyncio it would be a line of its own
    future, line = miniloop.Future(loop=mini), this_line()
    assert line_of(future) == line
    future, line = mini.run_in_executor(None, int), this_line()
    assert line_of(future) == line
    mini.run_until_complete(future)


def test_handles_and_timers_know_where_they_were_made(debug: asyncio.AbstractEventLoop) -> None:
    handle, line = debug.call_soon(print), this_line()
    assert source_line(repr(handle)) == line
    handle, line = debug.call_soon_threadsafe(print), this_line()
    assert source_line(repr(handle)) == line
    timer, line = debug.call_later(1, print), this_line()
    assert source_line(repr(timer)) == line
    timer, line = debug.call_at(1, print), this_line()
    assert source_line(repr(timer)) == line


def test_readers_and_writers_know_where_they_were_made(mini: miniloop.EventLoop) -> None:
    mini.set_debug(True)
    near, far = socket.socketpair()
    with near, far:
        _, reader_line = mini.add_reader(near, print), this_line()
        _, writer_line = mini.add_writer(near.fileno(), print), this_line()
        reader, writer = mini._selector.get_key(near).data
        assert (line_of(reader), line_of(writer)) == (reader_line, writer_line)
        mini.remove_reader(near)
        mini.remove_writer(near)


def test_what_signals_and_futures_call_knows_where_it_was_made(mini: miniloop.EventLoop) -> None:
    mini.set_debug(True)
    _, line = mini.add_signal_handler(signal.SIGUSR1, print), this_line()
    assert line_of(mini._signal_handlers[signal.SIGUSR1]) == line
    future = mini.create_future()
    _, line = future.add_done_callback(print), this_line()
    assert line_of(future._waiting) == line


@pytest.mark.parametrize("eager", [None, False, True])
def test_tasks_know_where_they_were_made(mini: miniloop.EventLoop, eager: bool | None) -> None:
    mini.set_debug(True)
    how = {} if eager is None else {"eager_start": eager}

    async def main() -> None:
        task, line = mini.create_task(coroutine_function(), **how), this_line()
        assert source_line(repr(task)) == line
        await task
        task, line = miniloop.Task(coroutine_function(), loop=mini, **how), this_line()
        assert line_of(task) == line
        await task

    mini.run_until_complete(main())


def test_a_task_that_asyncio_makes_for_somebody_was_made_in_asyncio(
    debug: asyncio.AbstractEventLoop,
) -> None:
    async def main() -> list[str]:
        alone = asyncio.create_task(coroutine_function())
        ensured = asyncio.ensure_future(coroutine_function())
        async with asyncio.TaskGroup() as group:
            grouped = group.create_task(coroutine_function())
        await asyncio.gather(alone, ensured)
        tasks: list[Any] = [alone, ensured, grouped]
        return [Path(task._source_traceback[-1].filename).name for task in tasks]

    assert debug.run_until_complete(main()) == ["tasks.py", "tasks.py", "taskgroups.py"]


class Kept(deque[Any]):
    """A ready queue that keeps what was ever in it."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Any] = []

    def append(self, entry: Any) -> None:
        self.entries.append(entry)
        super().append(entry)


@pure_only
def test_what_a_transport_schedules_was_made_in_the_transport() -> None:
    ready = Kept()
    loop = miniloop.EventLoop(ready=ready)
    loop.set_debug(True)

    class Peer(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            loop.stop()

    near, far = socket.socketpair()
    loop.run_until_complete(loop.create_connection(Peer, sock=near))
    ready.entries.clear()
    far.close()
    loop.run_forever()
    loop.close()
    origins = [entry._source_traceback[-1] for entry in ready.entries]
    assert origins
    assert {Path(frame.filename).parent.name for frame in origins} == {"net"}


def test_a_subclass_that_passes_on_is_the_programs(mini: miniloop.EventLoop) -> None:
    class Passing(miniloop.Future[Any]):
        def __init__(self) -> None:
            super().__init__(loop=mini)

    mini.set_debug(True)
    assert Passing()._source_traceback[-1].name == "__init__"


def test_a_report_tells_where_the_culprit_was_made(
    debug: asyncio.AbstractEventLoop, turn: Turn, reports: Reports
) -> None:
    reported = reports(debug)
    _, line = debug.call_soon(int, "no number"), this_line()
    turn(debug)
    frame = reported[0]["source_traceback"][-1]
    assert (frame.filename, frame.lineno) == (__file__, line)


def test_a_log_entry_shows_where_the_culprit_was_made(
    debug: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    future, line = debug.create_future(), this_line()
    future.set_exception(LookupError("lost"))
    del future
    gc.collect()
    (record,) = caplog.records
    assert "Object created at (most recent call last):" in record.message
    assert f'File "{__file__}", line {line}' in record.message


def test_outside_of_debug_mode_nothing_is_remembered(loop: asyncio.AbstractEventLoop) -> None:
    assert "created at" not in repr(loop.create_future())
    assert "created at" not in repr(loop.call_soon(print))


def test_a_coroutine_that_is_never_awaited_shows_where_it_was_made(
    debug: asyncio.AbstractEventLoop,
) -> None:
    async def main() -> int:
        coroutine_function()
        return this_line() - 1

    with pytest.warns(RuntimeWarning, match="was never awaited") as caught:
        line = debug.run_until_complete(main())
    text = str(caught[0].message)
    assert "Coroutine created at (most recent call last)" in text
    assert f'File "{__file__}", line {line}, in main' in text
    assert sys.get_coroutine_origin_tracking_depth() == 0


# Switching.


def test_debug_mode_can_be_switched_while_the_loop_runs(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        assert not loop.get_debug()
        assert sys.get_coroutine_origin_tracking_depth() == 0
        loop.set_debug(True)
        await asyncio.sleep(0)
        assert loop.get_debug()
        assert sys.get_coroutine_origin_tracking_depth() > 0
        assert "created at" in repr(loop.create_future())
        loop.set_debug(False)
        await asyncio.sleep(0)
        assert sys.get_coroutine_origin_tracking_depth() == 0
        assert "created at" not in repr(loop.create_future())

    loop.run_until_complete(main())


@contextlib.contextmanager
def origin_depth(depth: int) -> Iterator[None]:
    before = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(depth)
    try:
        yield
    finally:
        sys.set_coroutine_origin_tracking_depth(before)


def test_the_depth_of_origins_that_was_set_before_is_put_back(
    debug: asyncio.AbstractEventLoop,
) -> None:
    with origin_depth(3):
        debug.run_until_complete(coroutine_function())
        assert sys.get_coroutine_origin_tracking_depth() == 3


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "False"),
        (["-X", "dev"], {}, "True"),
        ([], {"PYTHONASYNCIODEBUG": "1"}, "True"),
        ([], {"PYTHONASYNCIODEBUG": ""}, "False"),
        (["-E"], {"PYTHONASYNCIODEBUG": "1"}, "False"),
    ],
    ids=["default", "dev mode", "variable", "empty variable", "variable ignored"],
)
def test_the_interpreter_may_be_asked_for_debug_mode(
    arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    program = "import miniloop; loop = miniloop.new_event_loop(); print(loop.get_debug())"
    program += "; loop.close()"
    result = subprocess.run(
        [sys.executable, *arguments, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == expected
    assert result.stderr == ""


def test_programs_do_the_same_in_debug_mode(debug: asyncio.AbstractEventLoop) -> None:
    async def child(number: int) -> int:
        await asyncio.sleep(0.001 * (number % 3))
        return number

    async def main() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(number)) for number in range(10)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await debug.create_future()
        return [task.result() for task in tasks]

    assert debug.run_until_complete(main()) == list(range(10))


def test_eager_tasks_work_in_debug_mode(mini: miniloop.EventLoop) -> None:
    mini.set_debug(True)
    mini.set_task_factory(miniloop.eager_task_factory)

    async def main() -> None:
        task, line = mini.create_task(coroutine_function()), this_line()
        assert task.done()
        assert source_line(repr(task)) == line

    mini.run_until_complete(main())
