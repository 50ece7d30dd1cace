"""Futures: their states, who is told, and in which order."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Callable
from typing import Any

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]
Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]


# The states.


def test_a_new_future_is_pending(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    assert not future.done()
    assert not future.cancelled()
    assert future.get_loop() is loop
    with pytest.raises(asyncio.InvalidStateError):
        future.result()
    with pytest.raises(asyncio.InvalidStateError):
        future.exception()


def test_a_future_with_a_result(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    future.set_result(42)
    assert future.done()
    assert not future.cancelled()
    assert future.result() == 42
    assert future.exception() is None


def test_a_future_with_an_exception(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    failure = LookupError("lost")
    future.set_exception(failure)
    assert future.done()
    assert not future.cancelled()
    assert future.exception() is failure
    with pytest.raises(LookupError, match="lost") as caught:
        future.result()
    assert caught.value is failure


def test_a_cancelled_future(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    assert future.cancel("a message") is True
    assert future.done()
    assert future.cancelled()
    with pytest.raises(asyncio.CancelledError, match="a message"):
        future.result()
    with pytest.raises(asyncio.CancelledError, match="a message"):
        future.exception()
    assert future.cancel() is False


def test_cancelling_without_a_message_gives_an_error_without_arguments(
    loop: asyncio.AbstractEventLoop,
) -> None:
    future = loop.create_future()
    future.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        future.result()
    assert caught.value.args == ()


@pytest.mark.parametrize(
    "end",
    [
        lambda future: future.set_result(1),
        lambda future: future.set_exception(ValueError()),
        lambda future: future.cancel(),
    ],
    ids=["result", "exception", "cancel"],
)
def test_there_is_no_way_back(
    loop: asyncio.AbstractEventLoop, end: Callable[[asyncio.Future[Any]], object]
) -> None:
    future = loop.create_future()
    end(future)
    before = (future.cancelled(), repr(future))
    with pytest.raises(asyncio.InvalidStateError):
        future.set_result(2)
    with pytest.raises(asyncio.InvalidStateError):
        future.set_exception(KeyError())
    assert future.cancel() is False
    assert (future.cancelled(), repr(future)) == before


def test_an_exception_may_be_given_as_a_class(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    future.set_exception(KeyError)
    assert isinstance(future.exception(), KeyError)


def test_what_is_no_exception_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    for wrong in ("text", 42, None, object):
        with pytest.raises(TypeError):
            future.set_exception(wrong)  # type: ignore[arg-type]
    assert not future.done()


def test_a_stop_iteration_never_reaches_a_coroutine(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    try:
        future.set_exception(StopIteration(1))  # from CPython 3.12 on it is wrapped, not refused
    except TypeError:
        assert not isinstance(loop, miniloop.EventLoop)
        return
    failure = future.exception()
    assert isinstance(failure, RuntimeError)
    assert isinstance(failure.__cause__, StopIteration)


def test_a_result_can_be_an_exception(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    failure = ValueError("as a value")
    future.set_result(failure)
    assert future.result() is failure
    assert future.exception() is None


# Callbacks.


def test_callbacks_run_in_order_and_never_at_once(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    future = loop.create_future()
    seen: list[tuple[int, object]] = []
    for number in range(5):
        future.add_done_callback(lambda done, number=number: seen.append((number, done)))  # type: ignore[misc]
    future.set_result(None)
    assert seen == []
    turn(loop)
    assert seen == [(number, future) for number in range(5)]


@pytest.mark.parametrize("callbacks", [0, 1, 2, 3])
def test_a_task_that_waits_is_woken_in_its_place_among_the_callbacks(
    loop: asyncio.AbstractEventLoop, turn: Turn, callbacks: int
) -> None:
    future = loop.create_future()
    order: list[object] = []

    async def wait() -> None:
        await future
        order.append("task")

    for number in range(callbacks):
        future.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
    task = loop.create_task(wait())
    turn(loop)
    future.add_done_callback(lambda _: order.append("last"))
    future.set_result(None)
    loop.run_until_complete(task)
    assert order == [*range(callbacks), "task", "last"]


def test_a_callback_added_to_a_done_future_runs_soon(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    future = loop.create_future()
    future.set_result(1)
    seen: list[object] = []
    future.add_done_callback(seen.append)
    assert seen == []
    turn(loop)
    assert seen == [future]


def test_a_callback_runs_in_a_copy_of_the_context_in_which_it_was_added(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def note(_: object) -> None:
        seen.append(variable.get())
        variable.set("inside")

    pending, done = loop.create_future(), loop.create_future()
    done.set_result(None)
    variable.set("added")
    pending.add_done_callback(note)
    done.add_done_callback(note)
    variable.set("later")
    pending.set_result(None)
    turn(loop)
    assert seen == ["added", "added"]
    assert variable.get() == "later"


def test_a_callback_runs_in_the_context_that_it_is_given(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    context = contextvars.copy_context()
    pending, done = loop.create_future(), loop.create_future()
    pending.add_done_callback(lambda _: variable.set("pending"), context=context)
    pending.set_result(None)
    turn(loop)
    assert context[variable] == "pending"
    done.set_result(None)
    done.add_done_callback(lambda _: variable.set("done"), context=context)
    turn(loop)
    assert context[variable] == "done"


def test_removed_callbacks_do_not_run(loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
    future = loop.create_future()
    seen: list[str] = []

    def one(_: object) -> None:
        seen.append("one")

    def other(_: object) -> None:
        seen.append("other")

    for callback in (one, other, one):
        future.add_done_callback(callback)
    assert future.remove_done_callback(one) == 2
    assert future.remove_done_callback(one) == 0
    future.add_done_callback(one)
    future.set_result(None)
    turn(loop)
    assert seen == ["other", "one"]
    assert future.remove_done_callback(other) == 0


def test_equal_callbacks_are_removed_not_only_identical_ones(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    seen: list[object] = []
    future = loop.create_future()
    future.add_done_callback(seen.append)
    assert future.remove_done_callback(seen.append) == 1  # another bound method, equal to the first
    future.set_result(None)
    turn(loop)
    assert seen == []


def test_removing_the_only_callback_leaves_a_future_that_works(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    future = loop.create_future()
    future.add_done_callback(print)
    assert future.remove_done_callback(print) == 1
    seen: list[object] = []
    future.add_done_callback(seen.append)
    future.set_result(None)
    turn(loop)
    assert seen == [future]


def test_comparing_callbacks_may_change_the_future(loop: asyncio.AbstractEventLoop) -> None:
    class Troublemaker:
        def __call__(self, future: object) -> None: ...

        def __eq__(self, other: object) -> bool:
            if not future.done():
                future.set_result(None)
            return False

        __hash__ = None  # type: ignore[assignment]

    future = loop.create_future()
    for _ in range(3):
        future.add_done_callback(Troublemaker())
    assert future.remove_done_callback(print) == 0
    assert future.done()
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_a_callback_that_removes_others_does_not_stop_them_once_the_future_is_done(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    # They are queued together when the future is done; it is too late then.
    future = loop.create_future()
    seen: list[object] = []
    future.add_done_callback(lambda done: seen.append(done.remove_done_callback(seen.append)))
    future.add_done_callback(seen.append)
    future.set_result(None)
    turn(loop)
    assert seen == [0, future]


def test_a_callback_that_fails_is_reported_and_the_others_run(
    loop: asyncio.AbstractEventLoop, turn: Turn, reports: Reports
) -> None:
    reported = reports(loop)
    seen: list[object] = []
    future = loop.create_future()
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(seen.append)
    future.set_result(None)
    turn(loop)
    assert seen == [future]
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


# Awaiting.


def test_awaiting_a_done_future_takes_no_turn(loop: asyncio.AbstractEventLoop) -> None:
    async def wait() -> list[str]:
        order: list[str] = []
        loop.call_soon(order.append, "next turn")
        done = loop.create_future()
        done.set_result("value")
        order.append(await done)
        return list(order)

    assert loop.run_until_complete(wait()) == ["value"]


def test_many_may_await_one_future(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> list[str]:
        future = loop.create_future()

        async def wait() -> str:
            value: str = await future
            return value

        tasks = [loop.create_task(wait()) for _ in range(10)]
        await asyncio.sleep(0)
        future.set_result("value")
        return await asyncio.gather(*tasks)

    assert loop.run_until_complete(main()) == ["value"] * 10


def test_generators_of_types_coroutine_can_wait(loop: asyncio.AbstractEventLoop) -> None:
    @types.coroutine
    def old_style() -> Any:
        future = loop.create_future()
        loop.call_soon(future.set_result, "value")
        value = yield from future
        return value

    async def main() -> str:
        value: str = await old_style()
        return value

    assert loop.run_until_complete(main()) == "value"


def test_a_future_that_is_resumed_before_it_is_done_says_so(
    loop: asyncio.AbstractEventLoop,
) -> None:
    generator = loop.create_future().__await__()
    next(generator)
    with pytest.raises(RuntimeError, match="await wasn't used with future"):
        next(generator)


def test_an_exception_comes_out_of_every_await_with_its_own_traceback(
    loop: asyncio.AbstractEventLoop,
) -> None:
    future = loop.create_future()
    future.set_exception(LookupError("lost"))
    depths = []
    for _ in range(5):
        try:
            future.result()
        except LookupError as exc:
            depth, trace = 0, exc.__traceback__
            while trace is not None:
                depth, trace = depth + 1, trace.tb_next
            depths.append(depth)
    assert len(set(depths)) == 1, f"the traceback grows: {depths}"
