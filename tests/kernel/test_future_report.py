"""What a future shows to those who look at it, and what it reports when nobody does."""

from __future__ import annotations

import asyncio
import functools
import gc
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import miniloop

Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]


def test_ours_are_instances_of_asyncios(mini: miniloop.EventLoop) -> None:
    future = mini.create_future()
    assert isinstance(future, asyncio.Future)
    assert isinstance(future, miniloop.Future)
    assert not isinstance(future, asyncio.Task)
    assert type(future) is miniloop.Future
    assert asyncio.isfuture(future)
    assert asyncio.ensure_future(future, loop=mini) is future


def test_a_future_can_be_made_by_its_class(loop: asyncio.AbstractEventLoop) -> None:
    future: asyncio.Future[int] = miniloop.Future(loop=loop)
    future.set_result(1)
    assert loop.run_until_complete(future) == 1

    async def in_a_running_loop() -> bool:
        made: asyncio.Future[int] = miniloop.Future()
        return made.get_loop() is loop

    assert loop.run_until_complete(in_a_running_loop())


def test_a_future_can_be_referred_to_weakly_and_subscripted(
    loop: asyncio.AbstractEventLoop,
) -> None:
    future = loop.create_future()
    assert weakref.ref(future)() is future
    assert isinstance(miniloop.Future[int], types.GenericAlias)
    assert isinstance(miniloop.Task[int], types.GenericAlias)


def test_a_subclass_may_add_to_a_future(mini: miniloop.EventLoop) -> None:
    class Labelled(miniloop.Future[str]):
        def __init__(self, label: str) -> None:
            super().__init__(loop=mini)
            self.label = label

    future = Labelled("mine")
    mini.call_soon(future.set_result, "value")
    assert mini.run_until_complete(future) == "value"
    assert future.label == "mine"


# Reports.


def test_an_exception_that_nobody_looks_at_is_reported_with_its_future(
    loop: asyncio.AbstractEventLoop, reports: Reports
) -> None:
    reported = reports(loop)
    future = loop.create_future()
    failure = LookupError("lost")
    future.set_exception(failure)
    del future
    gc.collect()
    (context,) = reported
    assert context["message"] == "Future exception was never retrieved"
    assert context["exception"] is failure
    assert repr(context["future"]) == "<Future finished exception=LookupError('lost')>"


def ask_for_the_result(future: asyncio.Future[Any]) -> None:
    with pytest.raises(LookupError):
        future.result()


@pytest.mark.parametrize(
    "look",
    [lambda future: future.exception(), ask_for_the_result, lambda future: future.cancel()],
    ids=["exception", "result", "cancel"],
)
def test_an_exception_that_somebody_has_looked_at_is_not_reported(
    loop: asyncio.AbstractEventLoop,
    reports: Reports,
    look: Callable[[asyncio.Future[Any]], object],
) -> None:
    reported = reports(loop)
    future = loop.create_future()
    future.set_exception(LookupError("lost"))
    look(future)
    del future
    gc.collect()
    assert reported == []


def test_an_exception_that_was_awaited_is_not_reported(
    loop: asyncio.AbstractEventLoop, reports: Reports
) -> None:
    reported = reports(loop)

    async def wait() -> None:
        future = loop.create_future()
        loop.call_soon(future.set_exception, LookupError("lost"))
        with pytest.raises(LookupError):
            await future

    loop.run_until_complete(wait())
    gc.collect()
    assert reported == []


def test_results_and_pending_futures_are_dropped_in_silence(
    loop: asyncio.AbstractEventLoop, reports: Reports
) -> None:
    reported = reports(loop)
    loop.create_future().set_result(1)
    loop.create_future().cancel()
    loop.create_future()
    gc.collect()
    assert reported == []


def callback(future: object) -> None:
    """A function with a place in a file."""


def test_the_repr_tells_the_state(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    assert repr(future) == "<Future pending>"
    future.set_result([1, 2])
    assert repr(future) == "<Future finished result=[1, 2]>"
    cancelled = loop.create_future()
    cancelled.cancel()
    assert repr(cancelled) == "<Future cancelled>"


def test_the_repr_names_the_callbacks(loop: asyncio.AbstractEventLoop) -> None:
    place = f"callback() at {__file__}:{callback.__code__.co_firstlineno}"
    future = loop.create_future()
    future.add_done_callback(callback)
    assert repr(future) == f"<Future pending cb=[{place}]>"
    future.add_done_callback(callback)
    assert repr(future) == f"<Future pending cb=[{place}, {place}]>"
    for _ in range(3):
        future.add_done_callback(functools.partial(callback))
    assert repr(future).startswith(f"<Future pending cb=[{place}, <3 more>, ")


def test_the_repr_of_a_future_that_holds_itself_ends(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    future.set_result(future)
    assert repr(future) == "<Future finished result=...>"


def test_the_repr_of_a_large_result_is_short(loop: asyncio.AbstractEventLoop) -> None:
    future = loop.create_future()
    future.set_result("x" * 10_000)
    assert len(repr(future)) < 100
