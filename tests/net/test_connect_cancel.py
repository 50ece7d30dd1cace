"""Connecting is given up at each point at which it can be: no socket is left open."""

from __future__ import annotations

import asyncio
import gc
import select
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import miniloop
from tests.net.addresses import answering, open_descriptors, refusing, resolve_to, silent
from tests.net.recording_protocol import Recorder

Connect = Callable[[asyncio.AbstractEventLoop, Any], Coroutine[Any, Any, Any]]


async def in_turn(loop: asyncio.AbstractEventLoop, _: Any) -> Any:
    return await loop.create_connection(Recorder, "name.test", 80)


async def staggered(loop: asyncio.AbstractEventLoop, _: Any) -> Any:
    return await loop.create_connection(Recorder, "name.test", 80, happy_eyeballs_delay=0.0001)


async def staggered_at_once(loop: asyncio.AbstractEventLoop, _: Any) -> Any:
    return await loop.create_connection(Recorder, "name.test", 80, happy_eyeballs_delay=0)


async def with_a_timeout(loop: asyncio.AbstractEventLoop, _: Any) -> Any:
    async with asyncio.timeout(3600):
        return await loop.create_connection(Recorder, "name.test", 80)


def one_turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.stop()
    loop.run_forever()


def give_up_after(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], turns: int) -> bool:
    """Cancel after so many turns. True if the connection was there by then."""
    for _ in range(turns):
        one_turn(loop)
        if isinstance(loop, miniloop.EventLoop) and not task.done():
            select.select([loop.poller.fileno()], [], [], 0)  # type: ignore[attr-defined]
    task.cancel()
    try:
        transport, protocol = loop.run_until_complete(task)
    except (asyncio.CancelledError, OSError):
        made = False
    else:
        transport.close()
        loop.run_until_complete(protocol.lost)
        made = True
    # Those that were given up need a few turns more to clean up after themselves.
    for _ in range(10):
        one_turn(loop)
    left = asyncio.all_tasks(loop)
    if left:
        loop.run_until_complete(asyncio.wait(left))
    gc.collect()
    return made


@pytest.mark.parametrize("connect", [in_turn, staggered, staggered_at_once, with_a_timeout])
@pytest.mark.parametrize("case", ["answering", "refused first", "silent first", "two answer"])
def test_giving_up_at_any_turn_leaves_no_socket(connect: Connect, case: str) -> None:
    # Ours alone: with staggered attempts asyncio loses sockets, from version to version others.
    loop = miniloop.new_event_loop()
    with answering() as good, answering() as other, refusing() as bad, silent() as dead:
        addresses = {
            "answering": [good],
            "refused first": [bad, good],
            "silent first": [dead, good],
            "two answer": [good, other],
        }[case]
        resolve_to(loop, *addresses)
        loop.run_until_complete(asyncio.sleep(0))
        before = open_descriptors()
        outcomes = []
        for turns in range(40):
            task = loop.create_task(connect(loop, None))
            outcomes.append(give_up_after(loop, task, turns))
            assert open_descriptors() == before, f"cancelled after {turns} turns"
        assert not outcomes[0]
        if case != "silent first":
            assert outcomes[-1], "the connection was never made: the test proves nothing"
    loop.close()


def test_giving_up_a_connection_to_an_address_that_says_nothing() -> None:
    loop = miniloop.new_event_loop()
    with silent() as dead:
        before = open_descriptors()
        task = loop.create_task(loop.create_connection(Recorder, *dead))
        assert not give_up_after(loop, task, 10)
        assert open_descriptors() == before
    loop.close()


def test_a_timeout_gives_up_the_connection(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    loop = loop_factory()
    with silent() as dead:
        before = open_descriptors()

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await loop.create_connection(Recorder, *dead)

        loop.run_until_complete(main())
        gc.collect()
        # Once it has waited, epoll is in the kernel's table; the connection must not be.
        assert open_descriptors() == before
    loop.close()
