"""What differs from asyncio and from uvloop: docs/differences.md names a test for each, and these
are those that have no better place."""

from __future__ import annotations

import ast
import asyncio
import asyncio.trsock
import gc
import importlib
import re
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import miniloop
from tests.builds import pure_only
from tests.conftest import LOOPS, LoopFactory

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)

# What uvloop does is shown where it is installed; it may have no wheel for this Python.
THREE = pytest.mark.parametrize("name", [*LOOPS, "uvloop"])


def on(name: str, main: Callable[[], Any]) -> Any:
    """Run a coroutine function on the loop of that name."""
    factory = LOOPS.get(name) or pytest.importorskip(name).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())


def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_each_test_that_the_page_names_exists(file: str) -> None:
    named = {name for where, name in NAMED if where == file}
    assert named - functions_of(file) == set()


def test_each_row_of_the_page_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    heads = [line for line in rows if line.endswith("| Test |")]
    assert len(heads) == 6
    assert [line for line in rows if line not in heads and "::test_" not in line] == []


def test_each_test_that_asyncio_would_fail_is_on_the_page() -> None:
    # Such a test says so in a comment that begins with these words.
    alone = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        name = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"(?:async )?def (test_\w+)", line):
                name = found[1]
            elif re.match(r" +# Ours alone\b", line):
                alone.add((path.relative_to(ROOT).as_posix(), name))
    assert alone
    assert alone - set(NAMED) == set()


def test_each_link_of_the_page_leads_somewhere() -> None:
    for page in ("differences.md", "recipes.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (ROOT / "docs" / target).exists(), f"{page} links to {target}"


# ---- from asyncio ------------------------------------------------------------------------------


def test_a_task_that_was_dropped_is_destroyed_with_its_loop(loop_factory: LoopFactory) -> None:
    said: list[str] = []
    loop = loop_factory()
    loop.set_exception_handler(lambda _, context: said.append(context["message"]))

    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    loop.create_task(wait_for_ever())
    loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    destroyed = ["Task was destroyed but it is pending!"]
    assert said == ([] if isinstance(loop, miniloop.EventLoop) else destroyed)
    loop.close()
    gc.collect()
    assert said == destroyed


@THREE
def test_a_task_is_an_instance_of_asyncios_and_not_its_type(name: str) -> None:
    async def main() -> tuple[bool, bool]:
        task = asyncio.current_task()
        return isinstance(task, asyncio.Task), type(task) is asyncio.Task

    assert on(name, main) == (True, name != "miniloop")


@THREE
def test_the_steps_of_a_task_do_not_pass_through_call_soon(name: str) -> None:
    called = 0
    loop_class: Any = type(on(name, running_loop))

    class Counting(loop_class):
        def call_soon(self, *args: Any, **options: Any) -> Any:
            nonlocal called
            called += 1
            return super().call_soon(*args, **options)

    async def main() -> int:
        before = called
        await asyncio.create_task(asyncio.sleep(0))
        return called - before

    with asyncio.Runner(loop_factory=Counting) as runner:
        calls = runner.run(main())
    assert (calls > 0) == (name != "miniloop")


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_no_child_watcher_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("a child watcher was asked for")

    monkeypatch.setattr(asyncio.events, "get_child_watcher", refuse, raising=False)

    async def main() -> int:
        process = await asyncio.create_subprocess_exec("true")
        return await process.wait()

    assert on("miniloop", main) == 0


# ---- from uvloop -------------------------------------------------------------------------------


@pure_only
@THREE
def test_the_loop_is_python_all_the_way_down(name: str) -> None:
    async def main() -> str:
        return str(type(asyncio.get_running_loop()).__mro__[1].__module__)

    module = importlib.import_module(on(name, main))
    is_python = (module.__file__ or "").endswith(".py")
    assert is_python == (name != "uvloop")


@THREE
def test_sendfile_is_there(name: str) -> None:
    async def main() -> int | None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right, tempfile.TemporaryFile() as file:
            left.setblocking(False)
            file.write(b"four")
            file.flush()
            try:
                return await loop.sock_sendfile(left, file, 0)
            except NotImplementedError:
                return None

    assert on(name, main) == (None if name == "uvloop" else 4)


@THREE
def test_a_short_sleep_takes_its_time(name: str) -> None:
    async def main() -> bool:
        early = False
        for _ in range(20):
            began = time.monotonic()
            await asyncio.sleep(0.0004)
            early = early or time.monotonic() - began < 0.0004
        return early

    assert on(name, main) == (name == "uvloop")


@THREE
def test_the_socket_of_a_transport_is_asyncios(name: str) -> None:
    async def main() -> bool:
        left, right = socket.socketpair()
        with right:
            _, writer = await asyncio.open_connection(sock=left)
            found = writer.get_extra_info("socket")
            writer.close()
            await writer.wait_closed()
        return isinstance(found, asyncio.trsock.TransportSocket)

    assert on(name, main) == (name != "uvloop")


@THREE
def test_a_subclass_may_tell_the_time(name: str) -> None:
    loop_class: Any = type(on(name, running_loop))

    class Ahead(loop_class):
        ahead = 0.0

        def time(self) -> float:
            return float(super().time()) + self.ahead

    async def main() -> bool:
        loop: Any = asyncio.get_running_loop()
        fired = asyncio.Event()
        loop.call_later(3600, fired.set)
        loop.ahead = 3600.0
        for _ in range(3):
            await asyncio.sleep(0)
        return fired.is_set()

    with asyncio.Runner(loop_factory=Ahead) as runner:
        assert runner.run(main()) == (name != "uvloop")
