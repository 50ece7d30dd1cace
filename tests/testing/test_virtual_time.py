"""Time jumps when, and only when, nothing else can happen."""

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
import time
from typing import Any

import pytest

from miniloop.testing import EverybodyWaits, OutsideWorld, TooLong, run, threads
from tests.differential.clocks import LOOPS, Clock, ReadyQueue


def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_hour_of_sleep_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return now()

    began = time.monotonic()
    assert run(main()) == 3600
    assert time.monotonic() - began < 60


def test_a_minute_of_sleeps_ends_as_on_asyncio() -> None:
    async def worker(pause: float, log: list[str], name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(pause)
            log.append(name)

    async def main() -> list[str]:
        log: list[str] = []
        await asyncio.gather(*(worker(n, log, f"w{n}") for n in (3, 7, 11, 20)))
        return log

    # A real minute of stock asyncio is as long here, but for its own clock.
    with asyncio.Runner(loop_factory=lambda: LOOPS["asyncio"](Clock(), ReadyQueue())) as runner:
        expected = runner.run(main())
    assert run(main()) == expected


@pytest.mark.parametrize("start", [0.0, 1_709_591_365.25, 1e15])
def test_clocks_of_any_size_do_not_spin(start: float) -> None:
    async def main() -> list[float]:
        times = []
        for pause in (0.001, 5.0, 100_000.0):
            await asyncio.sleep(pause)
            times.append(now())
        return times

    assert run(main(), start=start) == pytest.approx(
        [start + 0.001, start + 5.001, start + 100_005.001]
    )


def test_timeouts_waits_and_timers_agree() -> None:
    async def main() -> list[Any]:
        seen: list[Any] = []
        asyncio.get_running_loop().call_later(4, seen.append, "timer")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(10)
        seen.append(now())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 2)
        return [*seen, now()]

    assert run(main()) == ["timer", 5.0, 7.0]


def test_time_waits_for_what_is_ready() -> None:
    async def main() -> float:
        timeout = asyncio.get_running_loop().call_later(1, pytest.fail, "time has jumped")
        for _ in range(1000):
            await asyncio.sleep(0)
        timeout.cancel()
        return now()

    assert run(main()) == 0.0


def test_time_waits_for_threads() -> None:
    async def main() -> float:
        gate = threading.Event()
        asyncio.get_running_loop().call_soon(gate.set)
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(gate.wait, 30)
        return now()

    assert run(main()) == 0.0


def test_time_does_not_wait_for_a_thread_that_waits_for_the_loop() -> None:
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()

        def ask() -> str:
            return asyncio.run_coroutine_threadsafe(asyncio.sleep(5, "done"), loop).result()

        return await asyncio.to_thread(ask), now()

    assert run(main()) == ("done", 5.0)


def test_results_of_threads_come_in_the_order_of_the_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "TOGETHER", 30)

    async def main() -> list[int]:
        order: list[int] = []
        last = threading.Event()

        def work(number: int) -> None:
            if number < 3:
                last.wait(30)
            else:
                last.set()

        async def call(number: int) -> None:
            await asyncio.to_thread(work, number)
            order.append(number)

        await asyncio.gather(*(call(number) for number in range(4)))
        return order

    assert run(main()) == [0, 1, 2, 3]


def test_a_thread_of_the_program_may_wake_the_loop() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        thread = threading.Thread(
            target=lambda: loop.call_soon_threadsafe(answer.set_result, "hello")
        )
        loop.call_later(0.0, thread.start)
        try:
            return str(await answer)
        finally:
            thread.join()

    assert run(main()) == "hello"


def test_a_program_that_spins_until_a_thread_is_done_ends() -> None:
    async def main() -> bool:
        call = asyncio.get_running_loop().run_in_executor(None, len, "abc")
        while not call.done():
            await asyncio.sleep(0)
        return await call == 3

    assert run(main())


def test_everybody_waits() -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        await lock.acquire()

    with pytest.raises(EverybodyWaits, match="Lock"):
        run(main())


def test_clean_up_runs_when_everybody_waits() -> None:
    log = []

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            log.append(now())

    with pytest.raises(EverybodyWaits):
        run(main())
    assert log == [1.0]


def test_a_ceiling_ends_a_program_that_never_ends() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(TooLong, match="100 seconds"):
        run(main(), until=100.0)


def test_nothing_is_left_of_a_run() -> None:
    async def fails() -> None:
        asyncio.get_running_loop().call_later(5, print)
        raise KeyError(3)

    with pytest.raises(KeyError):
        run(fails())
    assert asyncio.run(asyncio.sleep(0, "fine")) == "fine"


def test_a_running_loop_is_no_place_for_a_run() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="running event loop"):
            run(asyncio.sleep(0))

    asyncio.run(main())


def test_the_real_clock_can_be_had() -> None:
    async def main() -> type:
        await asyncio.sleep(0.001)
        return type(asyncio.get_running_loop())

    assert run(main(), clock="real").__name__ == "EventLoop"


# The closed world.


async def connect() -> None:
    await asyncio.open_connection("127.0.0.1", 9)


async def serve() -> None:
    await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)


async def look_up() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def start_process() -> None:
    await asyncio.create_subprocess_exec("true")


async def start_shell() -> None:
    await asyncio.create_subprocess_shell("true")


async def send_datagrams() -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )


async def read_a_pipe() -> None:
    import os

    read, write = os.pipe()
    with open(read, "rb") as reader, open(write, "wb"):
        await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, reader)


async def use_a_socket() -> None:
    import socket

    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(left, b"x")


async def watch_a_socket() -> None:
    import socket

    left, right = socket.socketpair()
    with left, right:
        asyncio.get_running_loop().add_reader(left, print)


@pytest.mark.parametrize(
    ("main", "call"),
    [
        (connect, r"create_connection\(\)"),
        (serve, r"create_server\(\)"),
        (look_up, r"getaddrinfo\('localhost', 80\)"),
        (start_process, r"subprocess_exec\(\)"),
        (start_shell, r"subprocess_shell\(\)"),
        (send_datagrams, r"create_datagram_endpoint\(\)"),
        (read_a_pipe, r"connect_read_pipe\(\)"),
        (use_a_socket, r"sock_sendall\(\)"),
        (watch_a_socket, r"watching descriptor"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_closed_world_names_the_call_and_what_to_use(main: Any, call: str) -> None:
    with pytest.raises(OutsideWorld, match=call + r".*network=.*real_io=True"):
        run(main())


def test_real_io_is_waited_for_before_time_jumps() -> None:
    async def main() -> tuple[bytes, float]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readexactly(1)).upper())
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"x")
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return answer, now()

    assert run(main(), real_io=True) == (b"X", 0.0)


def test_a_process_can_be_run_with_real_io() -> None:
    async def main() -> bytes:
        process = await asyncio.create_subprocess_exec(
            "echo", "hello", stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0]

    assert run(main(), real_io=5.0) == b"hello\n"


# The other clocks.


async def all_clocks() -> list[float]:
    begin = [time.time(), time.monotonic(), time.perf_counter(), time.time_ns() / 1e9]
    dates = [datetime.datetime.now(), datetime.datetime.now(datetime.UTC)]
    await asyncio.sleep(3600)
    passed = [time.time(), time.monotonic(), time.perf_counter(), time.time_ns() / 1e9]
    later = [datetime.datetime.now(), datetime.datetime.now(datetime.UTC)]
    return [
        *(after - before for before, after in zip(begin, passed, strict=True)),
        *((after - before).total_seconds() for before, after in zip(dates, later, strict=True)),
    ]


def test_the_other_clocks_follow_if_asked() -> None:
    assert run(all_clocks(), patch_time=True) == pytest.approx([3600] * 6)
    assert max(run(all_clocks())) < 600


def test_a_run_can_begin_at_any_date() -> None:
    async def main() -> tuple[str, str, float, bool]:
        moment = datetime.datetime.now(datetime.UTC)
        record = logging.LogRecord("", 0, "", 0, "", None, None)
        return (
            moment.isoformat(),
            datetime.date.today().strftime("%Y"),
            record.created,
            isinstance(moment, datetime.datetime),
        )

    found = run(main(), patch_time=1_000_000_000.0)
    assert found == ("2001-09-09T01:46:40+00:00", "2001", 1_000_000_000.0, True)
    assert type(datetime.datetime) is type


def test_who_blocks_makes_everything_later() -> None:
    async def main() -> float:
        time.sleep(5)
        await asyncio.sleep(1)
        return now()

    assert run(main(), patch_time=True) == 6.0


def test_random_is_seeded_and_left_as_it_was() -> None:
    import random

    async def main() -> float:
        return random.random()

    state = random.getstate()
    assert run(main(), seed=3) == run(main(), seed=3) != run(main(), seed=4)
    assert random.getstate() == state


def test_signals_are_heard() -> None:
    import os
    import signal

    async def main() -> str:
        loop = asyncio.get_running_loop()
        heard = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, heard.set_result, "heard")
        os.kill(os.getpid(), signal.SIGUSR1)
        return str(await heard)

    assert run(main()) == "heard"
