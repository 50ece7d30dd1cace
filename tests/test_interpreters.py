"""Several interpreters in a process, and one process that looks into another (CPython 3.14)."""

from __future__ import annotations

import asyncio
import importlib
import json
import math
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import miniloop

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="new in CPython 3.14")

Run = Callable[..., Any]

WORK = f"""
import sys
sys.path[:0] = {[str(Path(miniloop.__file__).parents[1])]!r}
import asyncio
import miniloop

async def work(number):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"%d\\n" % number)
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line)

async def serve(reader, writer):
    writer.write(await reader.readline())
    writer.close()

async def main():
    global address
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        tasks = [asyncio.create_task(work(number)) for number in range(10)]
        assert len(asyncio.all_tasks()) >= 11
        assert asyncio.current_task() in asyncio.all_tasks()
        assert await asyncio.gather(*tasks) == list(range(10))
        assert await asyncio.to_thread(sum, [1, 2]) == 3

miniloop.run(main())
"""


def interpreters() -> Any:
    return importlib.import_module("concurrent.interpreters")


def test_a_loop_runs_in_an_interpreter_of_its_own() -> None:
    interpreter = interpreters().create()
    try:
        interpreter.exec(WORK)
        interpreter.exec(WORK)  # and another one, after the first
    finally:
        interpreter.close()


def test_loops_run_in_several_interpreters_at_once() -> None:
    created = [interpreters().create() for _ in range(3)]
    failures: list[BaseException] = []

    def work(interpreter: Any) -> None:
        try:
            interpreter.exec(WORK)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[interpreter]) for interpreter in created]
    for thread in threads:
        thread.start()
    exec(WORK, {})  # here, too
    for thread in threads:
        thread.join()
    for interpreter in created:
        interpreter.close()
    assert not failures


def test_work_can_be_handed_to_a_pool_of_interpreters(run: Run) -> None:
    futures: Any = importlib.import_module("concurrent.futures")

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        with futures.InterpreterPoolExecutor(2) as pool:
            calls = [loop.run_in_executor(pool, math.factorial, number) for number in range(6)]
            results: list[Any] = await asyncio.gather(*calls)
            with pytest.raises(ValueError, match="factorial"):
                await loop.run_in_executor(pool, math.factorial, -1)
        return results

    assert run(main) == [1, 1, 2, 6, 24, 120]


def test_a_pool_of_interpreters_can_be_the_default_executor(run: Run) -> None:
    futures: Any = importlib.import_module("concurrent.futures")

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(futures.InterpreterPoolExecutor(1))
        return await loop.run_in_executor(None, math.factorial, 5)

    assert run(main) == 120


@pytest.mark.parametrize("kind", ["asyncio", "miniloop"])
def test_a_process_can_be_asked_for_its_tasks_from_outside(kind: str, tmp_path: Path) -> None:
    program = f"""
        import asyncio, {kind}

        async def tick():
            print("ready", flush=True)
            while True:
                await asyncio.sleep(0.01)  # a loop that sleeps hears nothing

        async def main():
            await asyncio.create_task(tick(), name="ticking")

        {kind}.run(main())
    """
    answer = tmp_path / "answer"
    question = tmp_path / "question.py"
    question.write_text(
        textwrap.dedent(f"""
            import asyncio, gc, json, os
            loops = [one for one in gc.get_objects() if isinstance(one, asyncio.AbstractEventLoop)]
            names = [task.get_name() for task in asyncio.all_tasks(loops[0])]
            graphs = [asyncio.format_call_graph(task) for task in asyncio.all_tasks(loops[0])]
            with open({str(answer)!r} + ".part", "w") as file:
                json.dump([names, graphs], file)
            os.rename({str(answer)!r} + ".part", {str(answer)!r})
        """)
    )
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(miniloop.__file__).parents[1],
    )
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            try:
                sys.remote_exec(child.pid, question)  # type: ignore[attr-defined]  # since 3.14
            except (PermissionError, RuntimeError) as error:
                pytest.skip(f"one process may not look into another here: {error}")
            while not answer.exists():
                assert child.poll() is None
        finally:
            child.kill()
    names, graphs = json.loads(answer.read_text())
    assert "ticking" in names
    (ticking,) = (graph for graph in graphs if "name='ticking'" in graph.splitlines()[0])
    assert "Awaited by" in ticking
    assert "main()" in ticking
