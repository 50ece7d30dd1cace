"""Who waits for whom, as it is reported: what runs, who could wake the loop, rings, and names."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from miniloop.study import Waits, dump_waits, waits_of
from miniloop.study.rings import Needs, rings_among, stuck
from tests.study.waits_of_tasks import late_answer, settled, state_of, text_of

Run = Callable[..., Any]


async def running_process() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "1000")
    try:
        await process.wait()
    finally:
        process.kill()
        await process.wait()


def test_a_step_that_runs_is_shown_with_its_lines() -> None:
    async def main() -> None:
        def deep() -> Waits:
            return waits_of(asyncio.get_running_loop())

        waits = deep()
        assert waits.runs[-1].function.endswith("main.<locals>.deep")
        assert waits.loop.startswith(
            "miniloop.EventLoop runs a step, and last came from the kernel 0."
        )

    miniloop.run(main())


def test_a_thread_and_a_descriptor_are_among_those_who_could_wake_the_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        goes_on, begun = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            goes_on.wait()

        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            call = loop.run_in_executor(None, work)
            waiting = asyncio.create_task(wait_for_call(call), name="caller")
            reading = asyncio.create_task(loop.sock_recv(left, 1), name="reader")
            await asyncio.sleep(0)
            while not begun.is_set():
                await asyncio.sleep(0)
            waits = waits_of(loop)
            number = left.fileno()
            goes_on.set()
            right.send(b"x")
            await asyncio.gather(waiting, reading)
        assert f"descriptor {number}" in waits.wakers
        assert "a call in a thread" in waits.wakers
        assert text_of(waits, "caller") == "a call that is running in a thread"
        assert text_of(waits, "reader").endswith("to be readable")

    async def wait_for_call(call: asyncio.Future[None]) -> None:
        await call

    miniloop.run(main())


def test_the_report_is_of_the_program_and_not_of_its_libraries(run: Run) -> None:
    async def main() -> None:
        waits = await settled(late_answer(), asyncio.sleep(1000))
        places = state_of(waits, "a").places
        assert [place.function for place in places] == ["late_answer"]
        assert state_of(waits, "b").places[0].function == "sleep"  # it has no line of the program

    run(main)


def test_nothing_is_kept_alive_and_nothing_changes_by_looking(run: Run) -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        order: list[str] = []

        async def use(name: str) -> None:
            for _ in range(3):
                async with lock:
                    waits_of(asyncio.get_running_loop())
                    await asyncio.sleep(0)
                    order.append(name)

        await asyncio.gather(use("a"), use("b"))
        assert sorted(order) == ["a"] * 3 + ["b"] * 3

    run(main)


def test_dump_waits_prints_the_running_loop(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        dump_waits()

    miniloop.run(main())
    assert "miniloop.EventLoop runs a step" in capsys.readouterr().err


# Rings, by themselves.


def test_who_needs_all_is_stuck_with_one_and_who_needs_any_only_with_all() -> None:
    ring = {"a": Needs(("b",)), "b": Needs(("a",))}
    free = {"f": Needs((), free=True)}
    every = stuck({**ring, **free, "x": Needs(("a", "f"))})
    either = stuck({**ring, **free, "x": Needs(("a", "f"), every=False)})
    assert every == {"a", "b", "x"}
    assert either == {"a", "b"}


def test_each_ring_is_found_once() -> None:
    needs = {
        "behind": Needs(("a",)),
        "a": Needs(("b",)),
        "b": Needs(("c",)),
        "c": Needs(("a",)),
        "own": Needs(("own",)),
        "idle": Needs(("nobody",)),
    }
    assert rings_among(needs) == [["a", "b", "c"], ["own"]]


def test_tasks_of_the_same_name_are_told_apart(run: Run) -> None:
    async def main() -> None:
        waits = await settled(late_answer(), late_answer(), names=["same", "same"])
        assert [state.name for state in waits.tasks if "same" in state.name] == ["same", "same (2)"]

    run(main)


def test_a_process_and_a_server_are_named() -> None:
    async def serve() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1")
        await server.serve_forever()

    async def main() -> None:
        tasks = [
            asyncio.create_task(running_process(), name="process"),
            asyncio.create_task(serve(), name="server"),
        ]
        loop = asyncio.get_running_loop()
        while not {"process", "server"} <= {name for name in waiting(waits_of(loop))}:
            await asyncio.sleep(0)
        waits = waits_of(loop)
        assert re.fullmatch(r"process \d+ to end", text_of(waits, "process"))
        assert text_of(waits, "server") == "Server #1 (server) to be closed"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def waiting(waits: Waits) -> list[str]:
        ends = ("to end", "to be closed")
        return [
            state.name
            for state in waits.tasks
            if state.wait is not None and state.wait.what.endswith(ends)
        ]

    miniloop.run(main())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a task wants a coroutine from 3.12 on")
def test_a_generator_that_is_a_task_is_looked_at_as_well() -> None:
    def generator() -> Any:
        yield from asyncio.get_running_loop().create_future()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = miniloop.Task(types.coroutine(generator)(), loop=loop, name="generator")
        assert state_of(waits_of(loop), "generator").state == "has not begun"
        await asyncio.sleep(0)
        assert "a Future #1" in text_of(waits_of(loop), "generator")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    miniloop.run(main())
