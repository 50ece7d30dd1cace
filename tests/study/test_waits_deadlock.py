"""A loop that would sleep for ever raises EverybodyWaits, if it was asked to, and only then."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from miniloop.study import EverybodyWaits, deadlock_detecting_loop

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def threads_of_earlier_tests_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that failed may have left threads, and any thread could wake a loop."""
    all_threads = threading.enumerate
    earlier = set(all_threads()) - {threading.current_thread()}
    monkeypatch.setattr(
        threading, "enumerate", lambda: [one for one in all_threads() if one not in earlier]
    )


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=deadlock_detecting_loop) as runner:
        return runner.run(main)


def test_it_comes_out_of_run_with_the_report_and_clean_up_runs() -> None:
    ended: list[str] = []

    async def wait(name: str, event: asyncio.Event) -> None:
        try:
            await event.wait()
        finally:
            await asyncio.sleep(0.001)  # clean-up may wait
            ended.append(name)

    async def main() -> None:
        child = asyncio.create_task(wait("child", asyncio.Event()), name="child")
        await wait("main", asyncio.Event())
        await child

    with pytest.raises(EverybodyWaits) as caught:
        run(main())
    assert sorted(ended) == ["child", "main"]
    assert "all 2 tasks wait" in str(caught.value)
    assert [state.name for state in caught.value.waits.tasks if state.name == "child"] == ["child"]
    assert "<locals>.wait\n" in str(caught.value)


def test_the_loop_is_usable_after_it() -> None:
    loop = deadlock_detecting_loop()
    task = loop.create_task(asyncio.Event().wait())
    with pytest.raises(EverybodyWaits):
        loop.run_until_complete(task)
    assert not loop.is_running()
    assert not loop.asleep
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert loop.run_until_complete(asyncio.sleep(0, "fine")) == "fine"
    loop.close()


def test_clean_up_that_waits_for_ever_is_told_as_well() -> None:
    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()

    loop = deadlock_detecting_loop()
    runner = asyncio.Runner(loop_factory=lambda: loop)
    with pytest.raises(EverybodyWaits):
        runner.run(main())
    with pytest.raises(EverybodyWaits):
        runner.close()
    assert loop.is_closed()
    for task in loop.tasks:
        task._log_destroy_pending = False


def test_a_ring_is_named() -> None:
    async def take(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    async def main() -> None:
        left, right = asyncio.Lock(), asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            group.create_task(take(left, right), name="left")
            group.create_task(take(right, left), name="right")

    with pytest.raises(EverybodyWaits, match="RING: 'left' -> 'right' -> 'left'"):
        run(main())


async def woken_by_timer(event: asyncio.Event) -> None:
    asyncio.get_running_loop().call_later(0.001, event.set)


async def woken_by_descriptor(event: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()

    def arrived() -> None:
        loop.remove_reader(left)
        left.close()
        right.close()
        event.set()

    loop.add_reader(left, arrived)
    right.send(b"x")


async def woken_by_socket_call(event: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    left.setblocking(False)

    async def receive() -> None:
        with left, right:
            await loop.sock_recv(left, 1)
        event.set()

    task = loop.create_task(receive())
    task.add_done_callback(lambda _: None)
    await asyncio.sleep(0)
    threading.Thread(target=right.send, args=(b"x",)).start()


async def woken_by_executor(event: asyncio.Event) -> None:
    call = asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 0.05)
    call.add_done_callback(lambda _: event.set())


async def woken_by_thread(event: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def work() -> None:
        threading.Event().wait(0.05)
        loop.call_soon_threadsafe(event.set)

    threading.Thread(target=work).start()


async def woken_by_signal(event: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def arrived() -> None:
        loop.remove_signal_handler(signal.SIGUSR2)
        event.set()

    loop.add_signal_handler(signal.SIGUSR2, arrived)
    os.kill(os.getpid(), signal.SIGUSR2)


@pytest.mark.parametrize(
    "waker",
    [
        woken_by_timer,
        woken_by_descriptor,
        woken_by_socket_call,
        woken_by_executor,
        woken_by_thread,
        woken_by_signal,
    ],
)
def test_who_can_still_be_woken_is_left_alone(waker: Callable[..., Any]) -> None:
    async def main() -> str:
        event = asyncio.Event()
        await waker(event)
        await event.wait()
        return "woken"

    assert run(main()) == "woken"


def test_threads_that_have_ended_are_no_hope() -> None:
    async def main() -> None:
        await woken_by_thread(event := asyncio.Event())
        await event.wait()
        await asyncio.to_thread(threading.Event().wait, 0.001)
        await asyncio.Event().wait()

    with pytest.raises(EverybodyWaits):
        run(main())


def test_idle_threads_of_a_pool_are_no_hope() -> None:
    async def main(pool: ThreadPoolExecutor) -> None:
        await asyncio.get_running_loop().run_in_executor(pool, threading.get_ident)
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as pool, pytest.raises(EverybodyWaits):
        run(main(pool))


def test_a_loop_without_tasks_sleeps_as_ever() -> None:
    loop = deadlock_detecting_loop()
    timer = threading.Timer(0.05, lambda: loop.call_soon_threadsafe(loop.stop))
    timer.start()
    loop.run_forever()
    timer.join()
    loop.close()
