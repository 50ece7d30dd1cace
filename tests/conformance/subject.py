"""What is under test: a loop class, and the Task, Future and Handle that come with it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_FACTORY = "miniloop:new_event_loop"


@dataclass
class Subject:
    """The things that are put in the place of asyncio's own.

    A loop written elsewhere usually brings a loop class only, so the rest may be ``None``, which
    leaves asyncio's in place. ``made`` counts the loops made so far: the worker reads it to see
    whether a test used the subject at all.
    """

    name: str
    loop_class: type[asyncio.AbstractEventLoop] | None = None
    """Takes the place of every loop class of asyncio; called with a selector, or with nothing."""
    loop_class_without_sendfile: type[asyncio.AbstractEventLoop] | None = None
    """One that has to send files by reading and writing; ``None`` means ``loop_class``."""
    task: type[Any] | None = None
    future: type[Any] | None = None
    handle: Callable[..., Any] | None = None
    timer_handle: Callable[..., Any] | None = None
    policy: type[Any] | None = None
    test_loop: Callable[..., asyncio.AbstractEventLoop] | None = None
    """Takes the place of the loop with a clock set by hand: see ``TestLoop`` in CPython's tests."""
    package: str | None = None
    """The package whose modules follow when a test replaces a module global of asyncio's."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Names by which that package has such globals, where they are not asyncio's."""
    unfollowed: set[str] = field(default_factory=set)
    """Modules of the package that do not."""
    prologue: str = ""
    """Code that puts the loop into a new interpreter, for tests that look at one from outside."""
    variants: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Patchers, as ``mock.patch`` makes them, by module and class: in force during its tests."""
    made: MutableSequence[int] = field(default_factory=lambda: [0])

    @property
    def is_control(self) -> bool:
        """Whether it is asyncio itself, of which nothing is replaced."""
        return self.loop_class is None

    @property
    def is_complete(self) -> bool:
        """Whether every test can be run with it, so that one which does not use it is a mistake."""
        return self.test_loop is not None


def load(spec: str) -> Subject:
    """Make the subject that ``module:callable`` names; the callable makes a loop without arguments.

    What is tested is the class of the loop that it returns.
    """
    module_name, colon, attribute = spec.partition(":")
    if not colon or not attribute:
        raise ValueError(f"the factory must look like module:callable, got {spec!r}")
    factory = getattr(importlib.import_module(module_name), attribute)
    name = module_name.partition(".")[0]
    if name == "asyncio":
        return Subject(name)
    if name == "miniloop":
        from tests.conformance import bridge

        return bridge.subject()
    return _foreign(name, factory)


def _foreign(name: str, factory: Callable[[], asyncio.AbstractEventLoop]) -> Subject:
    loop = factory()
    loop_class: type[Any] = type(loop)
    loop.close()
    subject = Subject(name)

    class LoopUnderTest(loop_class):  # type: ignore[misc]  # the base is known at run time only
        def __init__(self, selector: object = None) -> None:
            subject.made[0] += 1
            super().__init__()

    LoopUnderTest.__name__ = LoopUnderTest.__qualname__ = loop_class.__name__
    subject.loop_class = LoopUnderTest
    return subject
