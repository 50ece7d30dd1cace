"""What is recorded does not notice: same traces, same lifetimes, same names, and all put back."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from pathlib import Path

import pytest

import miniloop
from miniloop.kernel.future import Future
from miniloop.kernel.task import Task
from miniloop.kernel.timers import TimerQueue
from miniloop.study import recording
from tests.builds import pure_only
from tests.differential import clocks
from tests.differential.generator import program_of_seed
from tests.differential.interpreter import run_program

pytestmark = pure_only


@pytest.mark.timeout(120)
@pytest.mark.parametrize("part", range(4))
def test_random_programs_do_the_same_with_a_recorder(part: int, tmp_path: Path) -> None:
    seeds = range(part * 100, part * 100 + 100)
    plain = [run_program(program_of_seed(seed), clocks.virtual_miniloop) for seed in seeds]
    with recording(tmp_path / "all"):
        seen = [run_program(program_of_seed(seed), clocks.virtual_miniloop) for seed in seeds]
    for seed, before, after in zip(seeds, plain, seen, strict=True):
        assert after == before, f"program {seed}"


class Watched:
    pass


def test_nothing_is_kept_alive(tmp_path: Path) -> None:
    gone: list[bool] = []

    def look(thing: Watched) -> None:
        pass

    async def hold(thing: Watched) -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        gc.disable()
        try:
            for use in ("call_soon", "call_later", "task", "future"):
                thing = Watched()
                reference = weakref.ref(thing)
                if use == "call_soon":
                    loop.call_soon(look, thing)
                elif use == "call_later":
                    loop.call_later(0, look, thing)
                elif use == "task":
                    asyncio.create_task(hold(thing))
                else:
                    loop.create_future().set_result(thing)
                del thing
                for _ in range(4):
                    await asyncio.sleep(0)
                gone.append(reference() is None)
        finally:
            gc.enable()

    with recording(tmp_path / "run"):
        miniloop.run(main())
    assert gone == [True] * 4


def test_a_loop_is_collected_with_its_recorder(tmp_path: Path) -> None:
    with recording(tmp_path / "run"):
        loop = miniloop.new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        reference = weakref.ref(loop)
        del loop
        gc.collect()
        assert reference() is None


def test_tasks_get_the_names_that_they_would_have(tmp_path: Path) -> None:
    async def main() -> list[str]:
        # A number is given when somebody asks, and only then.
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(3)]
        await asyncio.wait(tasks)
        first = int(tasks[2].get_name().removeprefix("Task-"))
        return [str(int(task.get_name().removeprefix("Task-")) - first) for task in tasks]

    plain = miniloop.run(main())
    with recording(tmp_path / "run"):
        assert miniloop.run(main()) == plain


def test_all_is_put_back(tmp_path: Path) -> None:
    before = dict(vars(Future)), dict(vars(Task))
    loop = miniloop.new_event_loop()
    try:
        with recording(tmp_path / "run", loop=loop):
            assert loop.enqueue != loop._ready.append
            loop.run_until_complete(asyncio.sleep(0))
        assert loop.enqueue == loop.hand_over == loop._ready.append
        assert type(loop.timers) is TimerQueue
        assert not loop._observers
        assert not miniloop.EventLoop.when_made
        assert (dict(vars(Future)), dict(vars(Task))) == before
        if sys.version_info >= (3, 12):
            assert "miniloop" not in [sys.monitoring.get_tool(number) for number in range(6)]
        loop.run_until_complete(asyncio.sleep(0.001))
    finally:
        loop.close()


def test_a_timer_that_was_set_under_the_recorder_fires_after_it(tmp_path: Path) -> None:
    async def main() -> list[str]:
        fired: list[str] = []
        loop = asyncio.get_running_loop()
        with recording(tmp_path / "run"):
            loop.call_later(0.001, fired.append, "kept")
            cancelled = loop.call_later(0.001, fired.append, "cancelled")
            await asyncio.sleep(0)
        cancelled.cancel()
        while not fired:
            await asyncio.sleep(0.001)
        return fired

    assert miniloop.run(main()) == ["kept"]


def test_ctrl_c_loses_nothing_under_a_recorder(tmp_path: Path) -> None:
    done: list[int] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    loop = miniloop.new_event_loop()
    with recording(tmp_path / "run", loop=loop):
        loop.call_soon(interrupt)
        for number in range(5):
            loop.call_soon(done.append, number)
        loop.call_soon(loop.stop)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        loop.run_forever()
    loop.close()
    assert done == [0, 1, 2, 3, 4]
