"""Futures and tasks of another make on our loop, and ours awaited by them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from collections.abc import Callable, Generator
from typing import Any

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]
Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]


class Handmade:
    """A future that has nothing of asyncio's but the protocol."""

    _asyncio_future_blocking = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._state: tuple[str, Any] = ("pending", None)
        self._callbacks: list[tuple[Callable[[Any], object], contextvars.Context | None]] = []

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(
        self, fn: Callable[[Any], object], *, context: contextvars.Context | None = None
    ) -> None:
        if self._state[0] == "pending":
            self._callbacks.append((fn, context))
        else:
            self._loop.call_soon(fn, self, context=context)

    def finish(self, state: str, value: Any) -> None:
        self._state = (state, value)
        for fn, context in self._callbacks:
            self._loop.call_soon(fn, self, context=context)

    def done(self) -> bool:
        return self._state[0] != "pending"

    def cancel(self, msg: object = None) -> bool:
        if self.done():
            return False
        self.finish("failed", asyncio.CancelledError(msg))
        return True

    def result(self) -> Any:
        state, value = self._state
        if state == "failed":
            raise value
        return value

    def __await__(self) -> Generator[Any, None, Any]:
        if not self.done():
            self._asyncio_future_blocking = True
            yield self
        return self.result()


MAKES: dict[str, Callable[[asyncio.AbstractEventLoop], Any]] = {
    "C": lambda loop: asyncio.Future(loop=loop),
    "Python": lambda loop: asyncio.futures._PyFuture(loop=loop),  # type: ignore[attr-defined]
    "handmade": Handmade,
    "subclass of ours": lambda loop: type("Sub", (miniloop.Future,), {})(loop=loop),
}


def finish(future: Any, value: Any) -> None:
    if isinstance(future, Handmade):
        future.finish("failed" if isinstance(value, Exception) else "finished", value)
    elif isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)


@pytest.fixture(params=MAKES.values(), ids=MAKES.keys())
def foreign(request: pytest.FixtureRequest, mini: miniloop.EventLoop) -> Any:
    """A future of another make, on our loop."""
    return request.param(mini)


def test_our_task_gets_the_result_of_a_foreign_future(
    mini: miniloop.EventLoop, foreign: Any
) -> None:
    async def main() -> str:
        mini.call_soon(finish, foreign, "value")
        value: str = await foreign
        await asyncio.sleep(0)
        return value

    assert mini.run_until_complete(main()) == "value"


def test_our_task_gets_the_exception_of_a_foreign_future(
    mini: miniloop.EventLoop, foreign: Any
) -> None:
    async def main() -> None:
        mini.call_soon(finish, foreign, LookupError("lost"))
        with pytest.raises(LookupError, match="lost"):
            await foreign
        await asyncio.sleep(0)

    mini.run_until_complete(main())


def test_our_task_is_cancelled_while_it_waits_for_a_foreign_future(
    mini: miniloop.EventLoop, turn: Turn, foreign: Any
) -> None:
    async def main() -> None:
        await foreign

    task = mini.create_task(main())
    turn(mini)
    assert task.cancel("a message") is True
    assert foreign.done()
    with pytest.raises(asyncio.CancelledError, match="a message"):
        mini.run_until_complete(task)


def test_a_task_that_cancels_itself_cancels_the_foreign_future_it_then_awaits(
    mini: miniloop.EventLoop, foreign: Any
) -> None:
    async def main() -> None:
        this = asyncio.current_task()
        assert this is not None
        this.cancel("first")
        await foreign

    with pytest.raises(asyncio.CancelledError, match="first"):
        mini.run_until_complete(main())
    assert foreign.done()


def test_our_task_keeps_its_context_across_a_foreign_future(
    mini: miniloop.EventLoop, foreign: Any
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def main() -> str:
        variable.set("mine")
        mini.call_soon(finish, foreign, None)
        await foreign
        return variable.get()

    assert mini.run_until_complete(main()) == "mine"
    assert variable.get() == "unset"


def test_our_task_is_the_current_one_after_a_foreign_future(
    mini: miniloop.EventLoop, foreign: Any
) -> None:
    async def main() -> bool:
        this = asyncio.current_task()
        mini.call_soon(finish, foreign, None)
        await foreign
        return asyncio.current_task() is this

    assert mini.run_until_complete(main())
    assert asyncio.current_task(mini) is None


def test_a_failure_after_a_foreign_future_belongs_to_the_task(
    mini: miniloop.EventLoop, foreign: Any, reports: Reports
) -> None:
    reported = reports(mini)

    async def main() -> None:
        mini.call_soon(finish, foreign, None)
        await foreign
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        mini.run_until_complete(main())
    assert reported == []


# Tasks written in C, on our loop.


def c_task(loop: asyncio.AbstractEventLoop, coro: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop)
    assert type(task) is asyncio.Task
    return task


def test_a_c_task_runs_on_our_loop(mini: miniloop.EventLoop) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return "worked"

    assert mini.run_until_complete(c_task(mini, work())) == "worked"


def test_a_c_task_awaits_our_future(mini: miniloop.EventLoop) -> None:
    async def work() -> list[object]:
        good, bad = mini.create_future(), mini.create_future()
        mini.call_soon(good.set_result, "value")
        mini.call_soon(bad.set_exception, LookupError("lost"))
        seen = [await good]
        try:
            await bad
        except LookupError as exc:
            seen.append(str(exc))
        return seen

    assert mini.run_until_complete(c_task(mini, work())) == ["value", "lost"]


def test_a_c_task_is_cancelled_while_it_waits_for_our_future(
    mini: miniloop.EventLoop, turn: Turn
) -> None:
    future = mini.create_future()

    async def work() -> None:
        await future

    task = c_task(mini, work())
    turn(mini)
    task.cancel("a message")
    assert future.cancelled()
    with pytest.raises(asyncio.CancelledError, match="a message"):
        mini.run_until_complete(task)


def test_tasks_of_both_makes_await_each_other(mini: miniloop.EventLoop) -> None:
    async def count(inner: asyncio.Task[int] | None) -> int:
        await asyncio.sleep(0)
        return 1 if inner is None else 1 + await inner

    task: asyncio.Task[int] | None = None
    for _ in range(20):
        task = c_task(mini, count(task))
        task = mini.create_task(count(task))
    assert task is not None
    assert mini.run_until_complete(task) == 40


def test_tasks_of_both_makes_cancel_each_other(mini: miniloop.EventLoop, turn: Turn) -> None:
    async def wait(inner: asyncio.Task[None] | None) -> None:
        await (mini.create_future() if inner is None else inner)

    chain: list[asyncio.Task[None]] = []
    for make in (c_task, lambda loop, coro: loop.create_task(coro)) * 3:
        chain.append(make(mini, wait(chain[-1] if chain else None)))
        turn(mini)
    chain[-1].cancel("down")
    with pytest.raises(asyncio.CancelledError, match="down"):
        mini.run_until_complete(chain[-1])
    assert all(task.cancelled() for task in chain)


def test_all_tasks_sees_both_makes(mini: miniloop.EventLoop) -> None:
    async def main() -> None:
        foreign = c_task(mini, asyncio.sleep(3600))
        ours = mini.create_task(asyncio.sleep(3600))
        assert asyncio.all_tasks() == {asyncio.current_task(), foreign, ours}
        foreign.cancel()
        ours.cancel()
        await asyncio.wait([foreign, ours])

    mini.run_until_complete(main())


@pytest.mark.parametrize("make", [name for name in MAKES if name != "handmade"])
def test_asyncios_tools_take_our_futures_and_foreign_ones_alike(
    mini: miniloop.EventLoop, make: str
) -> None:
    # Not those with nothing but the protocol: the tools ask for more.
    foreign = MAKES[make](mini)

    async def main() -> list[Any]:
        ours = mini.create_future()
        mini.call_soon(ours.set_result, "ours")
        mini.call_soon(foreign.set_result, "foreign")
        return await asyncio.gather(ours, foreign, asyncio.shield(ours), asyncio.sleep(0, "sleep"))

    assert mini.run_until_complete(main()) == ["ours", "foreign", "ours", "sleep"]


def test_a_concurrent_future_is_chained_both_ways(mini: miniloop.EventLoop) -> None:
    async def main() -> None:
        outer: concurrent.futures.Future[str] = concurrent.futures.Future()
        wrapped = asyncio.wrap_future(outer)
        assert isinstance(wrapped, miniloop.Future)
        wrapped.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert outer.cancelled()

    mini.run_until_complete(main())
