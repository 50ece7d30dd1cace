"""Where exceptions go that nobody is there to catch."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

import miniloop

Turn = Callable[[asyncio.AbstractEventLoop], None]


def fail() -> None:
    raise LookupError("lost")


def test_by_default_it_is_logged_with_all_that_is_known(
    loop: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    loop.call_soon(fail)
    turn(loop)
    (record,) = caplog.records
    assert record.name == "asyncio"
    assert record.levelno == logging.ERROR
    assert record.message.startswith("Exception in callback fail()")
    assert "\nhandle: <Handle fail()" in record.message
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


def test_a_context_without_message_or_exception_is_logged_as_it_is(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.call_exception_handler({"detail": 42})
    (record,) = caplog.records
    assert record.message == "Unhandled exception in event loop\ndetail: 42"
    assert record.exc_info in (None, False, (None, None, None))


def test_a_handler_is_called_in_place_of_the_default(
    loop: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[object, dict[str, Any]]] = []
    loop.set_exception_handler(lambda *args: seen.append(args))
    loop.call_soon(fail)
    turn(loop)
    ((where, context),) = seen
    assert where is loop
    assert isinstance(context["exception"], LookupError)
    assert caplog.records == []


def test_the_handler_can_be_asked_for_and_taken_away(
    loop: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None: ...

    assert loop.get_exception_handler() is None
    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    loop.call_soon(fail)
    turn(loop)
    assert len(caplog.records) == 1


def test_a_handler_must_be_callable(loop: asyncio.AbstractEventLoop) -> None:
    with pytest.raises(TypeError, match="A callable object or None is expected, got 'no'"):
        loop.set_exception_handler("no")  # type: ignore[arg-type]


def test_a_handler_may_pass_on_to_the_default(
    loop: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    loop.set_exception_handler(lambda loop, context: loop.default_exception_handler(context))
    loop.call_soon(fail)
    turn(loop)
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        LookupError
    ]


def test_a_handler_that_fails_is_logged_and_the_loop_goes_on(
    loop: asyncio.AbstractEventLoop, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []
    loop.set_exception_handler(lambda loop, context: 1 / 0)
    loop.call_soon(fail)
    loop.call_soon(ran.append, 1)
    turn(loop)
    assert ran == [1]
    (record,) = caplog.records
    assert record.message.startswith("Unhandled error in exception handler")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)
    assert "LookupError" in record.message


def test_a_default_handler_that_fails_is_logged_too(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    turn: Turn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = loop_factory()
    kind: Any = type(made)
    made.close()

    class Broken(kind):  # type: ignore[misc]
        def default_exception_handler(self, context: dict[str, Any]) -> None:
            raise ZeroDivisionError

    loop = Broken()
    loop.call_soon(fail)
    turn(loop)
    (record,) = caplog.records
    assert record.message.startswith("Exception in default exception handler")
    caplog.clear()
    loop.set_exception_handler(lambda loop, context: 1 / 0)
    loop.call_soon(fail)
    turn(loop)
    (record,) = caplog.records
    assert "while handling an unexpected error in custom exception handler" in record.message
    loop.close()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_passes_through_a_handler(
    loop: asyncio.AbstractEventLoop, exception: type[BaseException]
) -> None:
    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        raise exception

    loop.set_exception_handler(handler)
    loop.call_soon(fail)
    with pytest.raises(exception):
        loop.run_forever()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="since CPython 3.12")
def test_the_handler_sees_the_context_variables_of_the_culprit(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []
    loop.set_exception_handler(lambda loop, context: seen.append(variable.get()))
    context = contextvars.copy_context()
    context.run(variable.set, "of the culprit")
    loop.call_soon(fail, context=context)
    turn(loop)

    async def fails() -> None:
        variable.set("of the task")
        raise LookupError

    loop.create_task(fails())
    turn(loop)
    assert seen == ["of the culprit", "of the task"]


def test_a_handler_hears_of_a_timer_by_its_handle(mini: miniloop.EventLoop, turn: Turn) -> None:
    handles: list[object] = []
    mini.set_exception_handler(lambda loop, context: handles.append(context["handle"]))
    timer = mini.call_at(0, fail)
    turn(mini)
    assert handles == [timer]


def test_a_handler_hears_of_a_call_whose_context_is_none(
    loop: asyncio.AbstractEventLoop, turn: Turn
) -> None:
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    loop.call_soon(print, context=cast(Any, 4))
    turn(loop)
    assert [type(context["exception"]) for context in contexts] == [AttributeError]
