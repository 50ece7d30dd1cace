"""What a user imports: the ways to a loop, and that importing changes nothing."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import subprocess
import sys
import unittest
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

import miniloop


def interpret(program: str, *options: str) -> str:
    """What a program prints in an interpreter of its own, warnings being errors."""
    result = subprocess.run(
        [sys.executable, "-W", "error", *options, "-c", program],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.strip()


@pytest.fixture
def _policy() -> Iterator[None]:
    before = asyncio.get_event_loop_policy()
    yield
    asyncio.set_event_loop_policy(before)


async def kind_of_loop() -> type:
    return type(asyncio.get_running_loop())


def test_run_runs_on_a_miniloop_and_gives_the_result() -> None:
    assert miniloop.run(kind_of_loop()) is miniloop.EventLoop


@pytest.mark.parametrize("debug", [True, False])
def test_run_takes_debug_mode(debug: bool) -> None:
    async def in_debug_mode() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert miniloop.run(in_debug_mode(), debug=debug) is debug


def test_run_closes_its_loop_and_cancels_what_is_left() -> None:
    seen: list[object] = []

    async def left_over() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    async def main() -> None:
        seen.append(asyncio.get_running_loop())
        asyncio.get_running_loop().create_task(left_over())
        await asyncio.sleep(0)

    miniloop.run(main())
    loop, end = seen
    assert isinstance(loop, miniloop.EventLoop)
    assert loop.is_closed()
    assert end == "cancelled"


def test_run_takes_a_factory_of_its_callers() -> None:
    class Mine(miniloop.EventLoop):
        pass

    assert miniloop.run(kind_of_loop(), loop_factory=Mine) is Mine
    assert miniloop.run(kind_of_loop(), loop_factory=None) is miniloop.EventLoop


def test_run_takes_what_asyncio_run_takes() -> None:
    theirs = inspect.signature(asyncio.run).parameters
    ours = inspect.signature(miniloop.run).parameters
    assert set(theirs) <= set(ours)
    for name, parameter in theirs.items():
        assert (ours[name].kind, ours[name].default) == (parameter.kind, parameter.default)


RUNS = {"miniloop": miniloop.run, "asyncio": asyncio.run}


@pytest.fixture(params=RUNS.values(), ids=RUNS.keys())
def run_itself(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    run: Callable[[Any], Any] = request.param
    return run


class Awaitable:
    def __await__(self) -> Generator[Any, None, str]:
        yield from asyncio.sleep(0).__await__()
        return "awaited"


def test_run_takes_any_awaitable_from_3_14_on(run_itself: Callable[[Any], Any]) -> None:
    if sys.version_info >= (3, 14):
        assert run_itself(Awaitable()) == "awaited"
    else:
        with pytest.raises(ValueError, match="a coroutine was expected"):
            run_itself(Awaitable())
    with pytest.raises((TypeError, ValueError), match="coroutine"):
        run_itself("text")


def test_run_in_a_running_loop_says_what_is_wrong_and_touches_nothing(
    run_itself: Callable[[Any], Any],
) -> None:
    async def main() -> str:
        coroutine = kind_of_loop()
        before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
        with pytest.raises(
            RuntimeError, match=r"run\(\) cannot be called from a running event loop"
        ) as caught:
            run_itself(coroutine)
        assert caught.value.__context__ is None
        if before:
            assert len(os.listdir("/proc/self/fd")) == before
        assert await coroutine is miniloop.EventLoop  # still the caller's
        return "goes on"

    assert miniloop.run(main()) == "goes on"


def test_a_runner_takes_the_factory() -> None:
    with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
        assert runner.run(kind_of_loop()) is miniloop.EventLoop


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a keyword since CPython 3.12")
def test_asyncio_run_takes_the_factory() -> None:
    assert asyncio.run(kind_of_loop(), loop_factory=miniloop.new_event_loop) is miniloop.EventLoop  # type: ignore[call-arg, unused-ignore]


def test_the_factory_may_be_an_attribute_of_a_class_and_be_pickled() -> None:
    class Case(unittest.IsolatedAsyncioTestCase):
        loop_factory = miniloop.new_event_loop

    loop = Case().loop_factory()
    assert type(loop) is miniloop.EventLoop
    loop.close()
    assert pickle.loads(pickle.dumps(miniloop.new_event_loop)) == miniloop.new_event_loop
    assert miniloop.new_event_loop.__name__ == "new_event_loop"


def test_a_new_loop_is_an_asyncio_loop() -> None:
    loop = miniloop.new_event_loop()
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert not isinstance(loop, asyncio.BaseEventLoop)
    loop.close()


@pytest.mark.usefixtures("_policy")
def test_installing_makes_every_later_loop_a_miniloop() -> None:
    miniloop.install()
    loop = asyncio.new_event_loop()
    assert isinstance(loop, miniloop.EventLoop)
    loop.close()
    assert asyncio.run(kind_of_loop()) is miniloop.EventLoop


@pytest.mark.usefixtures("_policy")
def test_the_policy_can_be_set_by_hand() -> None:
    asyncio.set_event_loop_policy(miniloop.EventLoopPolicy())
    assert asyncio.run(kind_of_loop()) is miniloop.EventLoop


def test_importing_touches_no_policy_and_no_loop() -> None:
    program = """
import sys, asyncio
before = asyncio.events._event_loop_policy
new_event_loop = asyncio.new_event_loop
import miniloop
assert asyncio.events._event_loop_policy is before is None
assert asyncio.new_event_loop is new_event_loop
assert asyncio.events._get_running_loop() is None
assert "miniloop.policy" not in sys.modules
miniloop.run(asyncio.sleep(0))
assert "miniloop.policy" not in sys.modules
miniloop.EventLoopPolicy
assert "miniloop.policy" in sys.modules
print("untouched")
"""
    assert interpret(program) == "untouched"


def test_importing_does_not_import_the_loop_of_the_standard_library_for_itself() -> None:
    program = """
import asyncio, sys
before = set(sys.modules)
import miniloop
print(sorted(name for name in set(sys.modules) - before
             if name.startswith("asyncio.") and not name.startswith("asyncio.trsock")))
"""
    assert interpret(program) == "[]"


def test_the_face_is_what_it_says() -> None:
    assert all(hasattr(miniloop, name) for name in miniloop.__all__)
    assert sorted(miniloop.__all__) == list(miniloop.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        miniloop.nonsense  # noqa: B018
