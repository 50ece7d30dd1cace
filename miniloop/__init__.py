"""miniloop: an asyncio event loop whose kernel one person can read in an evening.

The kernel (`miniloop/kernel`) has 3,200 lines of code, without comments and docstrings.

    import miniloop
    miniloop.run(main())

or, with any program that lets its loop be chosen:

    asyncio.run(main(), loop_factory=miniloop.new_event_loop)           # Python 3.12 and later
    asyncio.Runner(loop_factory=miniloop.new_event_loop)                # Python 3.11 and later

or from outside, with a program that does not:

    python -m miniloop program.py

PYTEST_DONT_REWRITE: pytest takes this for a plugin, and would warn that it was imported before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

from miniloop.kernel import COMPILED
from miniloop.kernel.eager import eager_task_factory
from miniloop.kernel.future import Future
from miniloop.kernel.handle import Handle, TimerHandle
from miniloop.kernel.task import Task
from miniloop.loop import EventLoop, new_event_loop

if TYPE_CHECKING:
    from miniloop.policy import EventLoopPolicy, install

__all__ = [
    "COMPILED",
    "EventLoop",
    "EventLoopPolicy",
    "Future",
    "Handle",
    "Task",
    "TimerHandle",
    "eager_task_factory",
    "install",
    "new_event_loop",
    "run",
]

__version__ = "0.1.0.dev0"

T = TypeVar("T")


def run(
    main: Awaitable[T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """`asyncio.run` on a miniloop: run `main` in a new loop, clean up, and give its result.

    `main` is a coroutine; from CPython 3.14 on any awaitable will do, as for `asyncio.run`.
    `debug` switches debug mode on or off; None leaves it to the interpreter (`-X dev`).
    `loop_factory` makes the loop (default: `miniloop.new_event_loop`), as in
    `run(main(), loop_factory=lambda: miniloop.EventLoop(poller=...))`.

    Raises RuntimeError if a loop is running in this thread already, as in a notebook: await the
    coroutine there.
    """
    if asyncio.events._get_running_loop() is not None:
        raise RuntimeError(
            "miniloop.run() cannot be called from a running event loop; await the coroutine instead"
        )
    with asyncio.Runner(debug=debug, loop_factory=loop_factory or new_event_loop) as runner:
        # Before CPython 3.14 the runner wants a coroutine, and type checkers say so.
        return runner.run(cast("Coroutine[Any, Any, T]", main))


def __getattr__(name: str) -> Any:
    # Policies are deprecated from Python 3.14 on and gone in 3.16: only who asks for one loads it.
    if name in ("EventLoopPolicy", "install"):
        from miniloop import policy

        return getattr(policy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
