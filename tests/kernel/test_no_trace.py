"""A call that raises has done nothing: no task, timer, handle, watch or handler of it is left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import miniloop
from tests.builds import pure_only

Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]
Call = Callable[[Any, "Coroutine[Any, Any, None]"], object]


async def nothing() -> None:
    """A coroutine to make a task of."""


def traces(loop: miniloop.EventLoop) -> dict[str, Any]:
    """All that a loop keeps for those who have called it."""
    return {
        "ready": list(loop._ready),
        "timers": list(loop._scheduled),
        "tasks": set(loop.tasks),
        "watches": {} if loop.is_closed() else loop._selector.get_map(),
        "signals": dict(loop._signal_handlers),
        "wakeup": wakeup_fd(),
    }


def wakeup_fd() -> int:
    """Where CPython writes the numbers of signals."""
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    return fd


MAKE_TASKS: dict[str, Call] = {
    "create_task": lambda loop, coro: loop.create_task(coro),
    "create_task with a name": lambda loop, coro: loop.create_task(coro, name="a name"),
    "create_task, eager": lambda loop, coro: loop.create_task(coro, eager_start=True),
    "create_task, not eager": lambda loop, coro: loop.create_task(coro, eager_start=False),
    "Task": lambda loop, coro: miniloop.Task(coro, loop=loop),
    "ensure_future": lambda loop, coro: asyncio.ensure_future(coro, loop=loop),
}


async def keep(make: Call, coroutine: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine of a task that was refused: it is still its maker's, and may be run."""
    if make is not MAKE_TASKS["ensure_future"]:  # which has closed it
        await coroutine


def from_another_thread(call: Callable[[], object]) -> BaseException | None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return raised[0] if raised else None


@pytest.mark.parametrize("factory", [None, miniloop.eager_task_factory])
@pytest.mark.parametrize("make", MAKE_TASKS.values(), ids=MAKE_TASKS.keys())
def test_a_task_that_the_wrong_thread_asks_for_is_not_made(
    mini: miniloop.EventLoop, reports: Reports, make: Call, factory: Any
) -> None:
    mini.set_debug(True)
    mini.set_task_factory(factory)
    reported = reports(mini)

    async def main() -> None:
        coroutine = nothing()
        before = traces(mini)
        error = from_another_thread(lambda: make(mini, coroutine))
        assert isinstance(error, RuntimeError)
        assert "Non-thread-safe operation" in str(error)
        assert traces(mini) == before
        assert len(asyncio.all_tasks()) == 1
        await keep(make, coroutine)

    mini.run_until_complete(main())
    gc.collect()
    assert reported == []


def test_a_program_whose_thread_asks_for_a_task_comes_to_its_end() -> None:
    coroutine = nothing()

    async def main() -> None:
        await asyncio.to_thread(asyncio.get_running_loop().create_task, coroutine)

    with pytest.raises(RuntimeError, match="Non-thread-safe"):
        miniloop.run(main(), debug=True)
    coroutine.close()


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("make", MAKE_TASKS.values(), ids=MAKE_TASKS.keys())
def test_a_task_of_a_closed_loop_is_not_made(
    mini: miniloop.EventLoop, reports: Reports, make: Call, debug: bool
) -> None:
    reported = reports(mini)
    mini.set_debug(debug)
    mini.close()
    coroutine = nothing()
    before = traces(mini)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        make(mini, coroutine)
    assert traces(mini) == before
    asyncio.run(keep(make, coroutine))
    gc.collect()
    assert reported == []


@pytest.mark.parametrize("debug", [False, True])
def test_what_is_no_coroutine_leaves_no_task(mini: miniloop.EventLoop, debug: bool) -> None:
    mini.set_debug(debug)
    for how in ({}, {"eager_start": True}, {"eager_start": False}):
        with pytest.raises(TypeError, match="a coroutine was expected"):
            mini.create_task(nothing, **how)  # type: ignore[arg-type]
    coroutine = nothing()
    with pytest.raises(TypeError, match="unexpected arguments: colour"):
        mini.create_task(coroutine, colour="red")
    coroutine.close()
    assert not mini.tasks
    assert not mini._ready


CALLS: dict[str, Callable[[Any, Any], object]] = {
    "call_soon": lambda loop, wrong: loop.call_soon(wrong),
    "call_soon_threadsafe": lambda loop, wrong: loop.call_soon_threadsafe(wrong),
    "call_later": lambda loop, wrong: loop.call_later(1, wrong),
    "call_at": lambda loop, wrong: loop.call_at(1, wrong),
    "add_reader": lambda loop, wrong: loop.add_reader(0, wrong),
    "add_writer": lambda loop, wrong: loop.add_writer(0, wrong),
    "add_signal_handler": lambda loop, wrong: loop.add_signal_handler(signal.SIGUSR1, wrong),
    "run_in_executor": lambda loop, wrong: loop.run_in_executor(None, wrong),
}


@pytest.mark.parametrize("wrong", [nothing, "text"], ids=["coroutine function", "text"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_is_no_callback_leaves_nothing_in_debug_mode(
    mini: miniloop.EventLoop, call: Callable[[Any, Any], object], wrong: Any
) -> None:
    mini.set_debug(True)
    before = traces(mini)
    with pytest.raises(TypeError):
        call(mini, wrong)
    assert traces(mini) == before
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert mini._default_executor is None


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_closed_loop_takes_nothing(
    mini: miniloop.EventLoop, call: Callable[[Any, Any], object], debug: bool
) -> None:
    mini.set_debug(debug)
    mini.close()
    before = traces(mini)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        call(mini, print)
    assert traces(mini) == before
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


@pytest.mark.parametrize("others", [False, True], ids=["alone", "among others"])
@pytest.mark.parametrize("when", ["soon", 1j, object()], ids=["text", "complex", "object"])
@pytest.mark.parametrize("method", ["call_at", "call_later"])
def test_a_time_that_is_no_number_leaves_no_timer(
    mini: miniloop.EventLoop, method: str, when: Any, others: bool
) -> None:
    if others:
        mini.call_later(3600, print)
    before = traces(mini)
    with pytest.raises(TypeError):
        getattr(mini, method)(when, print)
    assert traces(mini) == before


def test_a_file_that_cannot_be_watched_is_not(mini: miniloop.EventLoop) -> None:
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    before = traces(mini)
    with open(__file__) as regular:
        for file in (regular, regular.fileno(), number, -1, "text", None):
            for watch in (mini.add_reader, mini.add_writer):
                with pytest.raises((OSError, ValueError)):
                    watch(file, print)
                assert traces(mini) == before
    assert len(mini.poller.watches) == 1  # the wake-up's


def test_a_future_keeps_no_callback_that_debug_mode_refuses(mini: miniloop.EventLoop) -> None:
    mini.set_debug(True)
    future = mini.create_future()
    with pytest.raises(TypeError):
        future.add_done_callback(nothing)
    assert future._waiting is None
    future.set_result(None)
    with pytest.raises(TypeError):
        future.add_done_callback(nothing)
    assert not mini._ready


# Loops that cannot be made.


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class Broken(Exception):
    """What the failing part raises."""


def fail(*_: Any, **__: Any) -> Any:
    raise Broken


class FailsInDebugMode(miniloop.EventLoop):
    """A loop whose own part of the constructor fails."""

    def set_debug(self, enabled: bool) -> None:
        raise Broken


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts its descriptors there")
@pytest.mark.parametrize(
    "broken",
    [
        "socket.socketpair",
        "socket.socket.setblocking",
        "select.epoll",
        pytest.param("miniloop.kernel.poller.Poller.watch_reader", marks=pure_only),
        "miniloop.loop.SignalHandlers",
        None,
    ],
)
def test_a_loop_that_cannot_be_made_gives_back_what_it_had(
    monkeypatch: pytest.MonkeyPatch, broken: str | None
) -> None:
    kind = miniloop.EventLoop if broken else FailsInDebugMode
    if broken:
        monkeypatch.setattr(broken, fail)
    gc.collect()
    gc.disable()
    try:
        before = open_descriptors()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(Broken) as caught:
                kind()
            # Closed, and not only collected: the traceback still holds the half-made loop.
            assert caught.value is not None
            assert open_descriptors() == before
    finally:
        gc.enable()


def test_a_poller_that_was_given_stays_its_givers(monkeypatch: pytest.MonkeyPatch) -> None:
    poller = miniloop.kernel.poller.default_poller()
    monkeypatch.setattr(socket, "socketpair", fail)
    with pytest.raises(Broken):
        miniloop.EventLoop(poller=poller)
    monkeypatch.undo()
    with asyncio.Runner(loop_factory=lambda: miniloop.EventLoop(poller=poller)) as runner:
        runner.run(asyncio.sleep(0))
