"""Every method of asyncio's loops is one of ours, and is called in the same way."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import miniloop

# What really runs; the abstract class has parameters that no loop takes any more.
ASYNCIO_LOOP = asyncio.BaseEventLoop

PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
KEYWORD = inspect.Parameter.KEYWORD_ONLY
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def public_methods(kind: type) -> list[str]:
    return sorted(
        name
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    )


def parameters(kind: type, method: str) -> list[inspect.Parameter]:
    return list(inspect.signature(getattr(kind, method)).parameters.values())[1:]


def named(found: list[inspect.Parameter], kinds: Any) -> list[tuple[str, object]]:
    return [(one.name, one.default) for one in found if one.kind in kinds]


@pytest.mark.parametrize("method", public_methods(asyncio.AbstractEventLoop))
def test_every_method_is_implemented(method: str) -> None:
    theirs = getattr(asyncio.AbstractEventLoop, method)
    assert getattr(miniloop.EventLoop, method) is not theirs, f"{method} is only inherited"


@pytest.mark.parametrize("method", public_methods(asyncio.AbstractEventLoop))
def test_positional_parameters_have_the_same_order_names_and_defaults(method: str) -> None:
    theirs = named(parameters(asyncio.AbstractEventLoop, method), PLAIN)
    ours = named(parameters(miniloop.EventLoop, method), PLAIN)
    # The abstract class says None where it means "as the loop likes", and lacks what came later.
    more = ours[len(theirs) :]
    assert all(default is not inspect.Parameter.empty for _, default in more), f"more: {more}"
    ours = ours[: len(theirs)]
    for (their_name, their_default), (our_name, our_default) in zip(theirs, ours, strict=True):
        assert our_name == their_name
        assert (our_default is inspect.Parameter.empty) == (
            their_default is inspect.Parameter.empty
        ), f"{our_name} is required in one of them only"


@pytest.mark.parametrize("method", public_methods(asyncio.AbstractEventLoop))
def test_keyword_parameters_are_all_there_with_the_same_defaults(method: str) -> None:
    theirs = dict(named(parameters(asyncio.AbstractEventLoop, method), [KEYWORD]))
    found = parameters(miniloop.EventLoop, method)
    ours = dict(named(found, [KEYWORD]))
    takes_more = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in found)
    for name, default in theirs.items():
        if name not in ours:
            missing_there = name not in inspect.signature(getattr(ASYNCIO_LOOP, method)).parameters
            assert takes_more or missing_there, f"{name} is missing"
            continue
        assert ours[name] == default, f"{name} has another default"


@pytest.mark.parametrize("method", public_methods(asyncio.AbstractEventLoop))
def test_what_takes_any_number_of_arguments_still_does(method: str) -> None:
    theirs = {one.kind for one in parameters(asyncio.AbstractEventLoop, method)}
    ours = {one.kind for one in parameters(miniloop.EventLoop, method)}
    assert theirs & set(VARIADIC) <= ours


@pytest.mark.parametrize("method", public_methods(asyncio.AbstractEventLoop))
def test_what_is_awaited_gives_something_to_await(method: str) -> None:
    if not inspect.iscoroutinefunction(getattr(asyncio.AbstractEventLoop, method)):
        return
    ours = getattr(miniloop.EventLoop, method)
    # The sock_ methods hand on the coroutine of the part that does the work.
    hands_on = "Coroutine" in str(inspect.signature(ours).return_annotation)
    assert inspect.iscoroutinefunction(ours) or hands_on


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (miniloop.Future, asyncio.Future),
        (miniloop.Task, asyncio.Task),
        (miniloop.Handle, asyncio.Handle),
        (miniloop.TimerHandle, asyncio.TimerHandle),
    ],
)
def test_futures_tasks_and_handles_have_every_public_name(ours: type, theirs: type) -> None:
    missing = [name for name in dir(theirs) if not name.startswith("_") and not hasattr(ours, name)]
    assert missing == []
