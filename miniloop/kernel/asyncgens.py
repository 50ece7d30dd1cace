"""Asynchronous generators that were left half-way.

A plain generator that is dropped is closed on the spot: its `finally` runs when it is collected.
An asynchronous one cannot be, because its `finally` may await. So the interpreter tells the loop,
by two hooks (PEP 525), when a generator is first iterated and when it is about to be collected; the
loop closes the dropped ones in a task, and the remaining ones before it ends.

Invariant: between `install` and `uninstall` the hooks of the thread are ours; afterwards they are
what they were.

The trap: a generator may be collected in any thread. So the closing task is made by
`call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
import weakref
from collections.abc import AsyncGenerator
from typing import Any

from miniloop.kernel.contract import Loop

__all__ = ["AsyncGenerators"]


class AsyncGenerators:
    """The asynchronous generators that were begun while one loop ran."""

    __slots__ = ("_alive", "_loop_reference", "_outer_hooks", "_shut_down")

    def __init__(self, loop: Loop) -> None:
        # Weak, so that a closed loop is freed as soon as it is not used. A generator that is
        # dropped later still calls us.
        self._loop_reference = weakref.ref(loop)
        # By number, and so in the order in which they began; a set has no order to rely on.
        self._alive: weakref.WeakValueDictionary[int, AsyncGenerator[Any, Any]] = (
            weakref.WeakValueDictionary()
        )
        self._shut_down = False
        self._outer_hooks: Any = None

    @property
    def _loop(self) -> Loop | None:
        return self._loop_reference()

    def install(self) -> None:
        """Have the interpreter report this thread's generators here."""
        self._outer_hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._begun, finalizer=self._dropped)

    def uninstall(self) -> None:
        """Put back the hooks that were there, if others were put in their place."""
        hooks, self._outer_hooks = self._outer_hooks, None
        if hooks is not None:
            sys.set_asyncgen_hooks(*hooks)

    def _begun(self, generator: AsyncGenerator[Any, Any]) -> None:
        if self._shut_down:
            warnings.warn(
                f"asynchronous generator {generator!r} was scheduled after "
                "loop.shutdown_asyncgens() call",
                ResourceWarning,
                source=self._loop,
                stacklevel=2,
            )
        self._alive[id(generator)] = generator

    def _dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._alive.pop(id(generator), None)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            # The collector may run in any thread.
            loop.call_soon_threadsafe(loop.create_task, generator.aclose())

    async def shut_down(self) -> None:
        """Close every generator that is still alive, oldest first; report those that fail to."""
        self._shut_down = True
        closing = list(self._alive.values())
        self._alive.clear()
        if not closing:
            return
        results = await asyncio.gather(
            *(generator.aclose() for generator in closing), return_exceptions=True
        )
        for result, generator in zip(results, closing, strict=True):
            loop = self._loop
            if isinstance(result, Exception) and loop is not None:
                loop.call_exception_handler(
                    {
                        "message": "an error occurred during closing of "
                        f"asynchronous generator {generator!r}",
                        "exception": result,
                        "asyncgen": generator,
                    }
                )
