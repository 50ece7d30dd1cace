"""The exception handler: where exceptions go that nothing can catch.

A callback has no caller that could handle its exception, and nothing awaits some tasks. The loop's
exception handler (`loop.set_exception_handler`) is called instead, with a dictionary that describes
what has happened. The default handler logs it.

The logger is named `asyncio`, as programs and their logging configuration expect of any loop.

Invariant: reporting never raises, but for an exit. A handler that fails is reported in its turn.

The trap: the handler is code of the program, and may itself be what fails.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

from miniloop.kernel.contract import CompleteLoop
from miniloop.kernel.exits import EXITS

__all__ = ["ExceptionReporter", "logger"]

logger = logging.getLogger("asyncio")

_SHOWN_APART = {"message", "exception"}


class ExceptionReporter:
    """The exception handler of one loop."""

    __slots__ = ("handler",)

    def __init__(self) -> None:
        self.handler: Callable[[Any, dict[str, Any]], object] | None = None

    def report(self, loop: CompleteLoop, context: dict[str, Any]) -> None:
        """Pass the context to the handler; survive a handler that fails itself."""
        handler = self.handler
        if handler is None:
            self._report_by_default(loop, context, "Exception in default exception handler")
            return
        try:
            _call_in_context_of_culprit(handler, loop, context)
        except EXITS:
            raise
        except BaseException as exc:
            self._report_by_default(
                loop,
                {
                    "message": "Unhandled error in exception handler",
                    "exception": exc,
                    "context": context,
                },
                "Exception in default exception handler "
                "while handling an unexpected error in custom exception handler",
            )

    def _report_by_default(
        self, loop: CompleteLoop, context: dict[str, Any], if_that_fails: str
    ) -> None:
        try:
            # A loop's class may override the default, so it is asked and not bypassed.
            loop.default_exception_handler(context)
        except EXITS:
            raise
        except BaseException:
            logger.error(if_that_fails, exc_info=True)


def _call_in_context_of_culprit(
    handler: Callable[[Any, dict[str, Any]], object], loop: CompleteLoop, context: dict[str, Any]
) -> None:
    """Let the handler see the context variables of the task or handle that it is told of.

    Source: the CPython documentation, `loop.set_exception_handler`, since 3.12.
    """
    # A task comes as the "future" when its exception was never retrieved; a future has no context.
    for key in ("task", "future", "handle"):
        get_context = getattr(context.get(key), "get_context", None)
        if get_context is not None:
            run = getattr(get_context(), "run", None)
            if run is None:
                break  # the culprit was given something else for a context, and failed by it
            run(handler, loop, context)
            return
    handler(loop, context)


def log_context(context: dict[str, Any]) -> None:
    """Log an exception context: its message, one line for each further key, the traceback."""
    exception = context.get("exception")
    lines = [context.get("message") or "Unhandled exception in event loop"]
    for key in sorted(context.keys() - _SHOWN_APART):
        value = context[key]
        if key == "source_traceback":
            text = "".join(traceback.format_list(value)).rstrip()
            lines.append(f"Object created at (most recent call last):\n{text}")
        elif key == "handle_traceback":
            text = "".join(traceback.format_list(value)).rstrip()
            lines.append(f"Handle created at (most recent call last):\n{text}")
        else:
            lines.append(f"{key}: {value!r}")
    info = None if exception is None else (type(exception), exception, exception.__traceback__)
    logger.error("\n".join(lines), exc_info=info)
