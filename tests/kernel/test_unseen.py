"""Exceptions that nobody saw, when a future goes as a part of a cycle.

The garbage collector first clears the weak references to what it has found, then calls each
`__del__`, and then takes everything apart. So whoever holds a future may still look at its
exception while both are being collected. In which order they are called depends on how many
collections each has lived through.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

import miniloop

Reports = Callable[[asyncio.AbstractEventLoop], list[dict[str, Any]]]
Make = Callable[[asyncio.AbstractEventLoop], "asyncio.Future[Any]"]


class Failure(Exception):
    """What is set."""


class Derived(miniloop.Future[Any]):
    """A future of a user's."""


class DerivedFromAsyncio(asyncio.Future[Any]):
    """The same for asyncio, which vouches for the rest."""


def a_future(loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
    return loop.create_future()


def a_derived_future(loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
    kind: Any = Derived if isinstance(loop, miniloop.EventLoop) else DerivedFromAsyncio
    made: asyncio.Future[Any] = kind(loop=loop)
    return made


def fail(future: asyncio.Future[Any]) -> None:
    future.set_exception(Failure("lost"))


def a_task(loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
    async def raise_failure() -> None:
        raise Failure("lost")

    return loop.create_task(raise_failure())


MAKES = [a_future, a_derived_future, a_task]


def ask_for_the_result(future: asyncio.Future[Any]) -> None:
    with contextlib.suppress(Failure):
        future.result()


def await_it(future: asyncio.Future[Any]) -> None:
    with contextlib.suppress(Failure):
        future.__await__().send(None)


def say_that_it_was_seen(future: Any) -> None:
    future._log_traceback = False


LOOKS = [
    asyncio.Future.exception,
    ask_for_the_result,
    await_it,
    asyncio.Future.cancel,
    say_that_it_was_seen,
]


def call(look: Callable[[Any], object], future: asyncio.Future[Any]) -> None:
    """Look, where `look` may be a method of asyncio's future, by the method of this one."""
    name = getattr(look, "__name__", "")
    if getattr(asyncio.Future, name, None) is look:
        getattr(future, name)()
    else:
        look(future)


class Holder:
    """Holds a future and is held by it; looks at the exception when it goes."""

    def __init__(self, look: Callable[[Any], object] | None = None) -> None:
        self.look = look
        self.future: Any = None
        self.looked = False

    def hold(self, future: Any) -> None:
        self.future = future
        future.holder = self

    def __del__(self) -> None:
        if self.look is not None:
            call(self.look, self.future)


@pytest.fixture(params=[None, 0, 1, 2])
def age(request: pytest.FixtureRequest) -> int | None:
    """The generation that is collected between the making of a cycle and the failure in it."""
    generation: int | None = request.param
    return generation


def end(
    loop: asyncio.AbstractEventLoop, make: Make, holder: Holder, age: int | None = None
) -> asyncio.Future[Any]:
    """A future that has failed, held by the holder."""
    future = make(loop)
    holder.hold(future)
    if age is not None:
        gc.collect(age)
    if not isinstance(future, asyncio.Task):
        fail(future)
    loop.stop()
    loop.run_forever()
    assert future.done()
    return future


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("look", LOOKS)
def test_an_exception_that_a_finalizer_looks_at_is_not_reported(
    loop: asyncio.AbstractEventLoop,
    reports: Reports,
    make: Make,
    look: Callable[[Any], object],
    age: int | None,
) -> None:
    reported = reports(loop)
    end(loop, make, Holder(look), age)
    gc.collect()
    assert reported == []


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("look", LOOKS)
def test_an_exception_that_was_looked_at_before_is_not_reported(
    loop: asyncio.AbstractEventLoop, reports: Reports, make: Make, look: Callable[[Any], object]
) -> None:
    reported = reports(loop)
    call(look, end(loop, make, Holder()))
    gc.collect()
    assert reported == []


@pytest.mark.parametrize("make", MAKES)
def test_an_exception_that_nobody_looks_at_is_reported_once(
    loop: asyncio.AbstractEventLoop, reports: Reports, make: Make, age: int | None
) -> None:
    reported = reports(loop)
    callbacks = list(gc.callbacks)
    end(loop, make, Holder(), age)
    gc.collect()
    assert gc.callbacks == callbacks
    gc.collect()
    (context,) = reported
    assert context["message"].endswith(" exception was never retrieved")
    assert isinstance(context["exception"], Failure)
    assert repr(context["exception"]) in repr(context["future"])


@pytest.mark.parametrize("make", MAKES)
def test_a_future_that_comes_back_to_life_was_reported_and_is_not_again(
    loop: asyncio.AbstractEventLoop, reports: Reports, make: Make
) -> None:
    reported = reports(loop)
    saved: list[asyncio.Future[Any]] = []
    end(loop, make, Holder(saved.append))
    gc.collect()
    (future,) = saved
    assert isinstance(future.exception(), Failure)
    assert len(reported) == 1
    saved.clear()
    del future
    gc.collect()
    assert len(reported) == 1


def test_a_report_does_not_keep_what_it_tells_of(
    loop: asyncio.AbstractEventLoop, reports: Reports
) -> None:
    reported = reports(loop)
    end(loop, a_future, Holder())
    gc.collect()
    seen = reported.pop()["future"]
    assert isinstance(seen.exception(), Failure)
    del seen
    gc.collect()
    assert reported == []


def test_only_false_can_be_said_of_whether_to_report(loop: asyncio.AbstractEventLoop) -> None:
    future: Any = loop.create_future()
    assert future._log_traceback is False
    fail(future)
    assert future._log_traceback is True
    with pytest.raises(ValueError, match="can only be set to False"):
        future._log_traceback = True
    assert future._log_traceback is True
    future._log_traceback = False
    assert future._log_traceback is False


# Streams: `StreamReaderProtocol.__del__` asks for the exception of its future.


def test_peers_that_reset_streams_are_not_reported(
    loop: asyncio.AbstractEventLoop, reports: Reports
) -> None:
    gc.disable()  # asyncio does report some, when a collection comes at a bad moment
    try:
        reported = reports(loop)
        loop.run_until_complete(asyncio.wait_for(reset_streams(60), 20))
        gc.collect()
        assert reported == []
    finally:
        gc.enable()


def test_however_often_the_collector_comes_by(mini: miniloop.EventLoop, reports: Reports) -> None:
    reported = reports(mini)
    before = gc.get_threshold()
    gc.set_threshold(70, 2, 2)
    try:
        mini.run_until_complete(asyncio.wait_for(reset_streams(60), 20))
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert reported == []


async def reset_streams(clients: int) -> None:
    """Clients of a server by the book, whose connections are reset while it answers."""
    handled = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal handled
        with contextlib.suppress(ConnectionError):
            while await reader.read(100):
                writer.write(b"x" * 100_000)
                await writer.drain()
        writer.close()
        handled += 1

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    for _ in range(clients):
        with socket.create_connection(address) as client:
            client.sendall(b"hello")
            reset(client)
    while handled < clients:
        await asyncio.sleep(0.001)
    server.close()
    await server.wait_closed()


def reset(client: socket.socket) -> None:
    """Have the close of this socket reset the connection."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# Tasks that are never done.


def unfinished(loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
    async def wait() -> None:
        await loop.create_future()

    task = loop.create_task(wait())
    loop.stop()
    loop.run_forever()
    return task


def test_a_task_that_its_loop_leaves_behind_is_reported_once_when_it_goes(
    loop: asyncio.AbstractEventLoop, reports: Reports
) -> None:
    reported = reports(loop)
    Holder().hold(unfinished(loop))
    loop.close()
    gc.collect()
    gc.collect()
    (context,) = reported
    assert context["message"] == "Task was destroyed but it is pending!"
    assert "pending" in repr(context["task"])


def say_that_it_may_vanish(task: Any) -> None:
    task._log_destroy_pending = False


@pytest.mark.parametrize("when", ["before", "after", "while it goes"])
def test_a_task_that_may_vanish_is_not_reported(
    loop: asyncio.AbstractEventLoop, reports: Reports, when: str
) -> None:
    reported = reports(loop)
    holder = Holder(say_that_it_may_vanish if when == "while it goes" else None)
    task = unfinished(loop)
    holder.hold(task)
    if when == "before":
        say_that_it_may_vanish(task)
    loop.close()
    if when == "after":
        say_that_it_may_vanish(task)
    del task, holder
    gc.collect()
    assert reported == []


class Impatient:
    """A future of another make, that tells those who wait at once, loop or no loop."""

    _asyncio_future_blocking = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.callbacks: list[Callable[[Any], object]] = []

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], context: Any = None) -> None:
        self.callbacks.append(callback)

    def result(self) -> None:
        pass

    def __await__(self) -> Any:
        self._asyncio_future_blocking = True
        yield self


def test_a_task_that_comes_to_its_end_after_its_loop_is_not_reported(
    loop: asyncio.AbstractEventLoop, reports: Reports
) -> None:
    reported = reports(loop)
    future = Impatient(loop)

    async def wait() -> str:
        await future
        return "done"

    task = loop.create_task(wait())
    loop.stop()
    loop.run_forever()
    loop.close()
    asyncio.events._set_running_loop(loop)  # from CPython 3.14 on no task steps without
    try:
        future.callbacks.pop()(future)
    finally:
        asyncio.events._set_running_loop(None)
    assert task.result() == "done"
    del task
    gc.collect()
    assert reported == []
