"""Handles: what `call_soon` and `call_later` give back."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]
Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]


def test_a_cancelled_handle_does_not_run(loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
    ran: list[int] = []
    handle = loop.call_soon(ran.append, 1)
    assert not handle.cancelled()
    handle.cancel()
    handle.cancel()
    turn(loop)
    assert handle.cancelled()
    assert ran == []


def test_cancelling_after_the_call_changes_nothing_but_the_answer(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    ran: list[int] = []
    handle = loop.call_soon(ran.append, 1)
    turn(loop)
    assert not handle.cancelled()
    handle.cancel()
    assert handle.cancelled()
    assert ran == [1]


def test_a_handle_can_be_cancelled_by_an_earlier_call_of_the_same_turn(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    ran: list[int] = []
    handles: list[asyncio.Handle] = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(ran.append, 1))
    turn(loop)
    assert ran == []


def test_a_cancelled_handle_lets_go_of_its_callback_and_arguments(
    loop: asyncio.AbstractEventLoop,
) -> None:
    class Large:
        pass

    large = Large()
    gone = weakref.ref(large)
    handle = loop.call_soon(print, large)
    timer = loop.call_later(1000, print, large)
    del large
    handle.cancel()
    assert gone() is not None
    timer.cancel()
    assert gone() is None


def test_a_handle_runs_in_a_copy_of_the_context_in_which_it_was_made(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def note(new: str) -> None:
        seen.append(variable.get())
        variable.set(new)

    variable.set("made")
    loop.call_soon(note, "changed inside")
    loop.call_later(0, note, "changed inside")
    variable.set("later")
    while len(seen) < 2:
        turn(loop)
    assert seen == ["made", "made"]
    assert variable.get() == "later"


def test_a_handle_runs_in_the_context_that_it_is_given(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    context = contextvars.copy_context()
    loop.call_soon(variable.set, "soon", context=context)
    turn(loop)
    assert context[variable] == "soon"
    loop.call_soon_threadsafe(variable.set, "threadsafe", context=context)
    turn(loop)
    assert context[variable] == "threadsafe"
    loop.call_later(0, variable.set, "later", context=context)
    loop.call_at(0, variable.set, "at", context=context)
    while context[variable] != "later":
        turn(loop)
    assert variable.get() == "unset"


def test_a_handle_tells_its_context(mini: miniloop.EventLoop) -> None:
    context = contextvars.copy_context()
    assert mini.call_soon(print, context=context).get_context() is context
    assert mini.call_later(1, print, context=context).get_context() is context
    assert isinstance(mini.call_soon(int).get_context(), contextvars.Context)


def test_our_handles_are_instances_of_asyncios(mini: miniloop.EventLoop) -> None:
    handle, timer = mini.call_soon(int), mini.call_later(0, int)
    assert isinstance(handle, asyncio.Handle)
    assert not isinstance(handle, asyncio.TimerHandle)
    assert isinstance(timer, asyncio.TimerHandle)
    assert isinstance(timer, asyncio.Handle)
    assert type(handle) is miniloop.Handle
    assert type(timer) is miniloop.TimerHandle
    assert weakref.ref(handle)() is handle


def test_an_exception_goes_to_the_exception_handler_and_not_further(
    loop: asyncio.AbstractEventLoop, turn: Turn, reports: Reports
) -> None:
    reported = reports(loop)
    ran: list[int] = []
    handle = loop.call_soon(int, "not a number")
    loop.call_soon(ran.append, 1)
    turn(loop)
    assert ran == [1]
    (context,) = reported
    assert isinstance(context["exception"], ValueError)
    assert context["handle"] is handle
    assert context["message"].startswith("Exception in callback int(")


def test_a_cancelled_error_in_a_callback_is_reported_like_any_other(
    loop: asyncio.AbstractEventLoop, turn: Turn, reports: Reports
) -> None:
    reported = reports(loop)

    def cancelled() -> None:
        raise asyncio.CancelledError

    loop.call_soon(cancelled)
    turn(loop)
    assert [type(context["exception"]) for context in reported] == [asyncio.CancelledError]


def named(*args: object, **kwargs: object) -> None:
    """A function with a place in a file."""


def test_the_repr_of_a_handle_names_the_callback_its_arguments_and_its_place(
    loop: asyncio.AbstractEventLoop,
) -> None:
    line = named.__code__.co_firstlineno
    loop.set_debug(True)  # from CPython 3.13 on asyncio leaves the arguments out otherwise
    place = f" at {__file__}:{line}"
    assert repr(loop.call_soon(named, 1, "two")).startswith(f"<Handle named(1, 'two'){place}")
    partial = functools.partial(named, 1, key="value")
    text = repr(loop.call_soon(partial, 2))
    assert text.startswith(f"<Handle named(1, key='value')(2){place}")


def test_the_repr_of_a_callable_without_a_name_is_its_own_repr(
    loop: asyncio.AbstractEventLoop,
) -> None:
    class Nameless:
        def __call__(self) -> None: ...

        def __repr__(self) -> str:
            return "nameless"

    assert "<Handle nameless()" in repr(loop.call_soon(Nameless()))


def test_the_repr_of_a_cancelled_handle_says_so(loop: asyncio.AbstractEventLoop) -> None:
    handle = loop.call_soon(named)
    handle.cancel()
    assert repr(handle) == "<Handle cancelled>"
    timer = loop.call_at(12.5, named)
    assert repr(timer).startswith("<TimerHandle when=12.5 named()")
    timer.cancel()
    assert repr(timer) == "<TimerHandle cancelled when=12.5>"


def test_timers_compare_by_their_deadlines(loop: asyncio.AbstractEventLoop) -> None:
    early, late = loop.call_at(1, named), loop.call_at(2, named)
    same = loop.call_at(1, named)
    assert early < late
    assert late > early
    assert early <= same
    assert early >= same
    assert early == same
    assert hash(early) == hash(same)
    assert early != late
    assert early != loop.call_at(1, named, "another argument")
    assert early != "something else"
    with pytest.raises(TypeError):
        assert early < 2  # type: ignore[operator]
    with pytest.raises(TypeError):
        assert early >= "1"  # type: ignore[operator]


def test_a_cancelled_timer_is_not_equal_to_a_live_one(loop: asyncio.AbstractEventLoop) -> None:
    one, other = loop.call_at(1, named), loop.call_at(1, named)
    one.cancel()
    assert one != other
    other.cancel()
    assert one == other


def test_a_timer_knows_its_deadline(loop: asyncio.AbstractEventLoop) -> None:
    assert loop.call_at(123.25, named).when() == 123.25
    before = loop.time()
    assert before + 5 <= loop.call_later(5, named).when() <= loop.time() + 5


@pytest.mark.parametrize("missing", ["call_later", "call_at"])
def test_a_timer_without_a_time_is_refused(loop: asyncio.AbstractEventLoop, missing: str) -> None:
    with pytest.raises(TypeError):
        getattr(loop, missing)(None, named)
