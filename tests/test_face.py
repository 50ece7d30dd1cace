"""What a user imports: every way in gives a miniloop, and importing changes nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings

import pytest

import miniloop


async def kind_of_loop() -> type:
    return type(asyncio.get_running_loop())


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_run_uses_our_loop_and_closes_it() -> None:
    seen = []

    async def main() -> int:
        seen.append(asyncio.get_running_loop())
        return 42

    assert miniloop.run(main()) == 42
    assert type(seen[0]) is miniloop.EventLoop
    assert seen[0].is_closed()


def test_run_passes_debug_on() -> None:
    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert miniloop.run(main(), debug=True)
    assert not miniloop.run(main(), debug=False)


def test_runner_takes_our_factory() -> None:
    with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
        assert runner.run(kind_of_loop()) is miniloop.EventLoop


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.run takes a factory from 3.12 on")
def test_asyncio_run_takes_our_factory() -> None:
    kind = asyncio.run(kind_of_loop(), loop_factory=miniloop.new_event_loop)
    assert kind is miniloop.EventLoop


def test_policy_gives_our_loops_and_can_be_taken_back() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        before = asyncio.get_event_loop_policy()
        asyncio.set_event_loop_policy(miniloop.EventLoopPolicy())
        try:
            assert asyncio.run(kind_of_loop()) is miniloop.EventLoop
        finally:
            asyncio.set_event_loop_policy(before)
    assert asyncio.run(kind_of_loop()) is not miniloop.EventLoop


def test_install_makes_every_loop_of_the_process_ours() -> None:
    code = """
import asyncio, miniloop
miniloop.install()
async def kind(): return type(asyncio.get_running_loop()).__name__
loop = asyncio.new_event_loop()
print(asyncio.run(kind()), type(loop).__name__)
loop.close()
"""
    assert run_python(code) == "EventLoop EventLoop"


def test_importing_touches_no_policy() -> None:
    code = """
import asyncio, sys, miniloop
assert "miniloop.policy" not in sys.modules
assert asyncio.events._event_loop_policy is None
async def kind(): return type(asyncio.get_running_loop()).__module__
print(asyncio.run(kind()))
"""
    assert "miniloop" not in run_python(code)


def test_everything_that_is_promised_is_there() -> None:
    for name in miniloop.__all__:
        assert getattr(miniloop, name) is not None


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'loops'"):
        _ = miniloop.loops  # type: ignore[attr-defined]
