"""Each method of asyncio.AbstractEventLoop is there, and can be called in the same way."""

from __future__ import annotations

import asyncio
import inspect
from inspect import Parameter

import pytest

import miniloop

METHODS = sorted(
    name
    for name, value in vars(asyncio.AbstractEventLoop).items()
    if callable(value) and not name.startswith("_")
)


@pytest.mark.parametrize("name", METHODS)
def test_method_takes_what_asyncio_says_it_takes(name: str) -> None:
    promised = inspect.signature(getattr(asyncio.AbstractEventLoop, name)).parameters
    ours = inspect.signature(getattr(miniloop.EventLoop, name)).parameters
    for parameter in promised.values():
        if parameter.kind is Parameter.VAR_KEYWORD and parameter.name not in ours:
            continue  # the abstract class leaves open which; ours says
        assert parameter.name in ours, f"{name} lacks {parameter.name}"
        assert ours[parameter.name].kind is parameter.kind, parameter.name
        # Where asyncio's abstract class has None, its own loops may have a value for it.
        assert (ours[parameter.name].default is Parameter.empty) == (
            parameter.default is Parameter.empty
        ), parameter.name
    order = [name for name in ours if name in promised]
    positional = [p.name for p in promised.values() if p.kind is not Parameter.KEYWORD_ONLY]
    assert [name for name in order if name in positional] == positional
    # More than that may be offered, but not demanded.
    for parameter in ours.values():
        if parameter.name not in promised:
            assert parameter.default is not Parameter.empty, parameter.name


@pytest.mark.parametrize("name", METHODS)
def test_method_is_our_own(name: str) -> None:
    assert getattr(miniloop.EventLoop, name) is not getattr(asyncio.AbstractEventLoop, name)
