"""Other things in the ready queue, and other makers of what waits for its place in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from miniloop import EventLoop
from miniloop.kernel.future import Future
from miniloop.kernel.handle import Handle, TimerHandle, new_handle
from miniloop.kernel.task import Task

__all__ = [
    "with_asyncio_futures",
    "with_asyncio_tasks",
    "with_callbacks_for_tasks",
    "with_constructors",
    "with_handles_for_steps",
]


def with_handles_for_steps() -> EventLoop:
    """A loop whose ready queue holds handles only.

    Each entry is looked at when it is queued, which is a call more than either way needs.
    """
    loop = EventLoop()
    append = loop.enqueue
    context = Context()

    def enqueue(entry: Any) -> None:
        append(new_handle(entry._run, (), loop, context) if type(entry) is Task else entry)

    loop.enqueue = enqueue
    return loop


class StrangeFuture(Future[Any]):
    """Not exactly a `Future`, so that a task waits for it as for a future of any other make."""

    __slots__ = ()


def with_callbacks_for_tasks() -> EventLoop:
    """A loop whose futures wake tasks by a callback, in a handle, with a copy of the context.

    Futures that are made for the user, that is; a task that awaits a task is still woken by it.
    """

    def future(loop: Any) -> Future[Any]:
        return StrangeFuture(loop=loop)

    loop = EventLoop()
    loop.make_future = future
    return loop


class ConstructedHandle(Handle):
    """A handle whose class takes the arguments."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: Any, context: Context
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context


class ConstructedTimer(TimerHandle):
    """A timer whose class takes the arguments."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: Any,
        context: Context,
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._scheduled = False


def with_constructors() -> EventLoop:
    """A loop whose objects are made by their classes; not those that `call_soon` makes itself."""

    def future(loop: Any) -> Future[Any]:
        return Future(loop=loop)

    def task(loop: Any, coro: Any, name: object, context: Context | None) -> Task[Any]:
        return Task(coro, loop=loop, name=name, context=context)

    loop = EventLoop()
    loop.make_handle = ConstructedHandle
    loop.make_timer = ConstructedTimer
    loop.make_future = future
    loop.make_task = task
    return loop


def with_asyncio_futures() -> EventLoop:
    """A loop that makes asyncio's futures, and tasks of ours that wait for them."""

    def future(loop: Any) -> Any:
        return asyncio.Future(loop=loop)

    loop = EventLoop()
    loop.make_future = future
    return loop


def with_asyncio_tasks() -> EventLoop:
    """A loop that makes asyncio's tasks, and futures of ours that they wait for."""

    def task(loop: Any, coro: Any, name: str | None, context: Context | None) -> Any:
        return asyncio.Task(coro, loop=loop, name=name, context=context)

    loop = EventLoop()
    loop.make_task = task
    return loop
