"""`shuffle` has any loop of ours run what is ready in a random legal order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

import miniloop
from miniloop.testing.shuffle import Shuffle, shuffle

T = TypeVar("T")


def run(seed: int, main: Coroutine[Any, Any, T]) -> tuple[T, Shuffle]:
    orders: list[Shuffle] = []

    def new_loop() -> miniloop.EventLoop:
        loop = miniloop.EventLoop()
        orders.append(shuffle(loop, seed))
        return loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main), orders[0]


async def steps() -> list[str]:
    order: list[str] = []

    async def walk(name: str) -> None:
        for _ in range(4):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*map(walk, "abc"))
    return order


def test_tasks_overtake_each_other_by_several_steps() -> None:
    orders = {tuple(run(seed, steps())[0]) for seed in range(30)}
    assert len(orders) > 20
    assert any("aaa" in "".join(order) for order in orders)


def test_the_same_seed_gives_the_same_order() -> None:
    (first, taken), (second, again) = run(7, steps()), run(7, steps())
    assert first == second
    assert taken.departures == again.departures > 0


@pytest.mark.parametrize("seed", range(5))
def test_call_soon_and_timers_keep_their_order_each_among_itself(seed: int) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        order: list[int] = []
        tasks = [asyncio.ensure_future(asyncio.sleep(0)) for _ in range(5)]
        for number in range(5):
            loop.call_soon(order.append, number)
        for number in range(5, 10):
            loop.call_later(number * 1e-4, order.append, number)
        await asyncio.wait(tasks)
        while len(order) < 10:
            await asyncio.sleep(0.001)
        return order

    order = run(seed, main())[0]
    # Each kind among itself: a timer that is due by then may overtake what is queued.
    assert [number for number in order if number < 5] == [0, 1, 2, 3, 4]
    assert [number for number in order if number >= 5] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("seed", range(5))
def test_streams_work_in_any_order(seed: int) -> None:
    async def main() -> list[bytes]:
        served: list[Any] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.append(asyncio.current_task())
            while line := await reader.readline():
                writer.write(line.upper())
            writer.close()
            await writer.wait_closed()

        async def ask(port: int, number: int) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            answers = b""
            for turn in range(5):
                writer.write(b"%d of %d\n" % (turn, number))
                answers += await reader.readline()
            writer.close()
            await writer.wait_closed()
            return answers

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            answers = await asyncio.gather(*(ask(port, number) for number in range(5)))
            await asyncio.gather(*served)
            return answers

    answers, order = run(seed, main())
    for number, answer in enumerate(answers):
        assert answer == b"".join(b"%d OF %d\n" % (turn, number) for turn in range(5))
    assert order.departures > 0


def test_a_reader_that_was_passed_over_is_not_called_twice() -> None:
    async def main() -> list[bytes]:
        import socket

        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        seen: list[bytes] = []
        # A second call for the same byte would raise BlockingIOError.
        loop.add_reader(left, lambda: seen.append(left.recv(1)))
        tasks = [asyncio.ensure_future(steps()) for _ in range(10)]
        right.send(b"x")
        await asyncio.wait(tasks)
        loop.remove_reader(left)
        left.close()
        right.close()
        return seen

    for seed in range(5):
        assert run(seed, main())[0] == [b"x"]


def test_stop_finishes_the_turn() -> None:
    loop = miniloop.EventLoop()
    shuffle(loop, 1)
    called: list[int] = []
    for number in range(10):
        loop.call_soon(called.append, number)
    loop.stop()
    loop.run_forever()
    loop.close()
    assert called == list(range(10))
