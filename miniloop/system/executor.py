"""The default executor: the thread pool for calls that block.

A loop cannot wait for a call that blocks, such as a look-up of a name or a read of a file. Such a
call goes to a thread, and the loop gets a future for what it will return. The pool is made when it
is first needed: most programs never start a thread.

Invariants:

1. After `shut_down` or `close` there is no default executor, and none is made again: `run` then
   raises. Executors that the caller passes in are not affected.
2. `at_work` holds the calls, in any executor, that have not told the loop their result yet. If it
   is empty and the loop waits for nothing else, nothing will wake the loop. A call that was
   cancelled after a thread had begun it stays there until the thread has finished it.

The trap: a thread cannot be stopped. Shutting down waits for the calls that run, so it waits in a
thread of its own, and for no longer than it is told to.

Source: the CPython documentation, "Executing code in thread or process pools".
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import warnings
from collections.abc import Callable
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.kernel.debug import check_callback
from miniloop.kernel.future import Future
from miniloop.kernel.handle import passes_on, repeatable

__all__ = ["CallInThread", "DefaultExecutor"]

# The name of a thread of the pool, before its number: a debugger shows whose it is.
THREAD_NAME_PREFIX = "miniloop"


class CallInThread(Future[Any]):
    """The loop's side of a call that an executor runs.

    `asyncio.wrap_future` would do, at the price of two more callbacks for each call: a round trip
    through it takes a sixth longer, and cancelling takes a turn to reach the executor.
    """

    __slots__ = ("_at_work", "_call")

    def __init__(self, loop: Loop, call: concurrent.futures.Future[Any], at_work: set[Any]) -> None:
        super().__init__(loop=loop)
        self._call: Any = call  # None once it has told us its result
        self._at_work = at_work
        at_work.add(self)  # first, as the call may be done already
        call.add_done_callback(self._done_in_thread)

    def cancel(self, msg: Any = None) -> bool:
        """Cancel, and take the call back if it has not begun. False if it was done already."""
        cancelled = super().cancel(msg)
        if cancelled:
            self._call.cancel()
        return cancelled

    def _done_in_thread(self, call: concurrent.futures.Future[Any]) -> None:
        """In whatever thread finished the call: have the loop take the result."""
        loop: Loop = self._loop
        if self.done() and loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(self._take)
        except RuntimeError:
            if not loop.is_closed():
                raise  # otherwise the loop is closed, and nobody waits for the result

    @passes_on
    @repeatable
    def _take(self) -> None:
        call = self._call
        self._at_work.discard(self)
        if self.done():
            pass
        elif call.cancelled():
            super().cancel()
        elif (error := call.exception()) is None:
            self.set_result(call.result())
        elif isinstance(error, concurrent.futures.CancelledError):
            # The call waited for another one that was cancelled; asyncio has a class of its own.
            self.set_exception(asyncio.CancelledError(*error.args))
        else:
            self.set_exception(error)
        self._call = None  # which keeps its callbacks, and so refers to us


CallInThread.__name__ = Future.__name__  # in its repr, and in reports of its failure


class DefaultExecutor:
    """The executor of one loop for calls that name no other."""

    __slots__ = ("_loop", "at_work", "is_shut_down", "pool")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.at_work: set[asyncio.Future[Any]] = set()
        self.pool: concurrent.futures.ThreadPoolExecutor | None = None
        self.is_shut_down = False

    def set(self, executor: Any) -> None:
        """Use this one from now on. Raises TypeError unless it is a ThreadPoolExecutor."""
        if not isinstance(executor, concurrent.futures.ThreadPoolExecutor):
            raise TypeError(f"executor must be ThreadPoolExecutor instance, got {executor!r}")
        self.pool = executor

    def run(
        self,
        executor: concurrent.futures.Executor | None,
        func: Any,
        *args: Any,
    ) -> CallInThread:
        """Call `func(*args)` in `executor`, or in the default one. Returns a future of our loop.

        Cancelling the future takes the call back if no thread has begun it.

        Raises RuntimeError if the loop is closed, or the default executor was shut down; in debug
        mode TypeError for a coroutine function: a thread would call it and never await it.
        """
        if self._loop.is_closed():
            raise RuntimeError("Event loop is closed")
        if self._loop.get_debug():
            check_callback(func)
        chosen = self._get_pool() if executor is None else executor
        return CallInThread(self._loop, chosen.submit(func, *args), self.at_work)

    def _get_pool(self) -> concurrent.futures.ThreadPoolExecutor:
        if self.is_shut_down:
            raise RuntimeError("Executor shutdown has been called")
        if self.pool is None:
            self.pool = concurrent.futures.ThreadPoolExecutor(thread_name_prefix=THREAD_NAME_PREFIX)
        return self.pool

    async def shut_down(self, timeout: float | None = None) -> None:
        """Take no more calls, and wait until those that run have returned.

        Waits for `timeout` seconds at most (None: for as long as it takes); if that was not enough
        it gives a RuntimeWarning, and the threads end whenever their calls do.
        """
        self.is_shut_down = True
        pool = self.pool
        if pool is None:
            return
        joined = self._loop.create_future()
        self.at_work.add(joined)
        thread = threading.Thread(target=self._join, args=(pool, joined))
        try:
            thread.start()
        except RuntimeError:
            self.at_work.discard(joined)
            pool.shutdown(wait=False)  # no thread is left that could wait
            raise
        try:
            async with asyncio.timeout(timeout):
                await joined
        except TimeoutError:
            # The wording is what programs filter on, from CPython 3.12 on.
            warnings.warn(
                f"The executor did not finishing joining its threads within {timeout} seconds.",
                RuntimeWarning,
                stacklevel=2,
            )
            pool.shutdown(wait=False)
        else:
            thread.join()

    def _join(self, pool: concurrent.futures.ThreadPoolExecutor, joined: Any) -> None:
        """In a thread of its own: wait for the others."""
        try:
            pool.shutdown(wait=True)
        except Exception as exc:
            self._report(joined, joined.set_exception, exc)
        else:
            self._report(joined, joined.set_result, None)

    def _report(self, joined: Any, setter: Callable[[Any], object], value: Any) -> None:
        def settle() -> None:
            self.at_work.discard(joined)
            if not joined.done():
                setter(value)

        try:
            self._loop.call_soon_threadsafe(settle)
        except RuntimeError:
            # Nobody waits any more: the time was up, or the loop was closed under the coroutine.
            if not self._loop.is_closed():
                raise

    def close(self) -> None:
        """Drop the pool, without waiting for its threads."""
        self.is_shut_down = True
        pool, self.pool = self.pool, None
        if pool is not None:
            pool.shutdown(wait=False)
