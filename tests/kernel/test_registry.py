"""asyncio's tables of tasks, which know of ours."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import miniloop
from miniloop.kernel import registry


def run_alone(program: str) -> str:
    """What a program prints in an interpreter of its own, in which no loop was made before."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_asyncios_table_is_its_own_before_the_first_loop_and_after_the_last() -> None:
    program = """
        import asyncio, gc, weakref
        import miniloop
        from miniloop.kernel import registry

        told = vars(asyncio).get("future_add_to_awaited_by", weakref)

        def kinds():
            own = {type(table) is weakref.WeakSet for table in registry._tables}
            if told is not weakref:  # from CPython 3.14 on
                own.add(asyncio.future_add_to_awaited_by is told)
            return own

        assert registry._tables
        print(kinds(), end=" ")
        one, two = miniloop.new_event_loop(), miniloop.new_event_loop()
        one.close(), two.close()
        del one
        gc.collect()
        print(kinds(), end=" ")
        del two
        gc.collect()
        print(kinds())
    """
    assert run_alone(program) == "{True} {False} {True}"


@pytest.fixture
def switch_often() -> Iterator[None]:
    """Have threads take turns so often that one interrupts the other in the middle of a turn."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.parametrize("kind", ["plain", "eager"])
def test_all_tasks_of_a_loop_can_be_asked_for_from_another_thread(
    loop: asyncio.AbstractEventLoop, kind: str, switch_often: None
) -> None:
    if kind == "eager" and isinstance(loop, miniloop.EventLoop):
        loop.set_task_factory(miniloop.eager_task_factory)
    elif kind == "eager":
        if sys.version_info < (3, 12):
            pytest.skip("asyncio has eager tasks from CPython 3.12 on")
        loop.set_task_factory(asyncio.eager_task_factory)
    counts: list[int] = []
    failures: list[BaseException] = []
    enough = threading.Event()

    def look() -> None:
        try:
            while not enough.is_set():
                counts.append(len(asyncio.all_tasks(loop)))
        except BaseException as error:
            failures.append(error)
            enough.set()

    async def main() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        try:
            while sum(count > 1 for count in counts) < 50 and not failures:
                await asyncio.gather(*(asyncio.sleep(0) for _ in range(100)))
        finally:
            enough.set()
            await asyncio.to_thread(thread.join)

    loop.run_until_complete(main())
    assert not failures


def test_all_tasks_may_be_asked_for_while_the_last_loop_goes() -> None:
    class Item:
        pass

    item = Item()
    table = registry._AllTasks([item])
    asked = iter(table)
    table.__class__ = weakref.WeakSet  # as the end of a loop does, in another thread
    assert item in list(asked)


def test_loops_come_and_go_in_many_threads_at_once(switch_often: None) -> None:
    wrong: list[Any] = []

    async def main() -> None:
        task = asyncio.current_task()
        other = asyncio.ensure_future(asyncio.sleep(0))
        if asyncio.all_tasks() != {task, other} or asyncio.current_task() is not task:
            wrong.append(asyncio.all_tasks())
        await other

    def work() -> None:
        for _ in range(30):
            miniloop.run(main())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_current_task_of_another_thread_is_found(loop: asyncio.AbstractEventLoop) -> None:
    found: list[Any] = []

    async def main() -> None:
        thread = threading.Thread(target=lambda: found.append(asyncio.current_task(loop)))
        thread.start()
        thread.join()  # while this task is in the middle of a step
        assert found == [asyncio.current_task()]

    loop.run_until_complete(main())


def test_a_loop_that_was_not_closed_leaves_nothing_behind() -> None:
    program = """
        import asyncio, gc, warnings
        import miniloop
        from miniloop.kernel import registry

        warnings.simplefilter("ignore")
        loop = miniloop.new_event_loop()
        loop.create_task(asyncio.sleep(3600))
        loop.run_until_complete(asyncio.sleep(0))
        del loop
        gc.collect()
        print(len(registry._loops), [len(table) for table in registry._tables][-1])
    """
    assert run_alone(program).splitlines()[-1] == "0 0"
