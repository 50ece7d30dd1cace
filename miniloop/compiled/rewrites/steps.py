"""Tasks: a step of a coroutine, its end, and who is running."""

from __future__ import annotations

from miniloop.compiled.rewrites.ideas import CURRENT, STEP, TYPES
from miniloop.compiled.specialise import Addition, Rewrite

__all__ = ["OF_STEPS"]

OF_STEPS: tuple[Addition | Rewrite, ...] = (
    # A step.
    Rewrite(
        STEP,
        "kernel.task",
        "throw: BaseException | None = None",
        """
        throw = None
        ended = False
        """,
        within="Task._run",
    ),
    Rewrite(
        STEP,
        "kernel.task",
        "self._context.run(self._send, None)",
        "advance(self._context, self._coro, cython.address(ended))",
        within="Task._run",
    ),
    Rewrite(
        STEP,
        "kernel.task",
        "kind = type(awaited)",
        """
        if ended:
            self._return(awaited)
            return
        kind = type(awaited)
        """,
        within="Task._run",
    ),
    Rewrite(
        STEP,
        "kernel.task",
        """
        if awaited is None:
            loop.enqueue(self)
        else: ...
        """,
        """
        if awaited is None:
            loop.enqueue(self)
        elif kind is Future or kind is Task:
            future = awaited
            if (
                future._asyncio_future_blocking
                and future._loop is loop
                and future._state is PENDING
                and future is not self
            ):
                future._asyncio_future_blocking = False
                if future._waiting is None:
                    future._waiting = self
                else:
                    future._add_waiting(self)
                self._fut_waiter = future
                if self._must_cancel and future.cancel(self._cancel_message):
                    self._must_cancel = False
            else:
                self._wait_for_foreign(awaited)
        else:
            self._wait_for_foreign(awaited)
        """,
        within="Task._run",
    ),
    # Declared in task.pxd, so it is there with or without "a step".
    Rewrite(
        TYPES,
        "kernel.task",
        "def _refuse_step(self) -> None: ...",
        '''
        def _return(self, value):
            """The coroutine has returned `value`."""
            loop = self._loop
            if self._must_cancel:
                self._must_cancel = False
                Future.cancel(self, self._cancel_message)
            else:
                self._result = value
                self._state = FINISHED
                if self._waiting is not None:
                    self._wake_waiting()
            discard(loop.tasks, self)

        def _refuse_step(self):
            self._loop.tasks.discard(self)
            self._loop.call_exception_handler(
                {
                    "message": f"{self!r} was finished from outside while it ran",
                    "exception": asyncio.InvalidStateError(f"step(): already done: {self!r}"),
                    "task": self,
                }
            )
        ''',
    ),
    # A property is no slower than a field here, and the class cannot be changed later.
    Rewrite(TYPES, "kernel.task", "task._log_destroy_pending = True", "", times=2),
    Rewrite(TYPES, "kernel.eager", "task._log_destroy_pending = True", ""),
    Rewrite(TYPES, "kernel.task", "_log_destroy_pending: bool", ""),
    Rewrite(TYPES, "kernel.task", "def _watch_log_destroy_pending() -> None: ...", ""),
    Rewrite(
        TYPES,
        "kernel.task",
        "_watch_log_destroy_pending()",
        "pass",
        within="Task.outlive_loop",
    ),
    Rewrite(
        TYPES,
        "kernel.task",
        "def have_no_last_words(self) -> None: ...",
        """
        def have_no_last_words(self):
            if self._last_words is not None:
                self._last_words.disarm()
                self._last_words = None

        @property
        def _log_destroy_pending(self):
            return not self._may_vanish

        @_log_destroy_pending.setter
        def _log_destroy_pending(self, value):
            self._may_vanish = not value
            if not value and self._last_words is not None:
                self.have_no_last_words()
        """,
    ),
    Rewrite(STEP, "kernel.task", "task._send = coro.send", "", times=2),
    Rewrite(
        TYPES,
        "kernel.task",
        "import asyncio",
        """
        import asyncio
        import cython
        """,
    ),
    Rewrite(
        STEP,
        "kernel.eager",
        "from contextvars import Context, copy_context",
        """
        import cython
        from contextvars import Context, copy_context
        """,
    ),
    Addition(
        TYPES,
        "kernel.task",
        """
        def blank_task():
            return cython.cast(Task, make(0))
        """,
    ),
    Rewrite(STEP, "kernel.eager", "task._send = send = coro.send", "ended = False"),
    Rewrite(
        STEP,
        "kernel.eager",
        "context.run(send, None)",
        "advance(context, coro, cython.address(ended))",
    ),
    Rewrite(
        STEP,
        "kernel.eager",
        "task._wait_for(awaited)",
        "task._return(awaited) if ended else task._wait_for(awaited)",
    ),
    # Who runs.
    *(
        Rewrite(
            CURRENT,
            module,
            f"from miniloop.kernel.registry import {name}",
            """
            from miniloop.kernel.registry import current_tasks
            current = getattr(current_tasks, "_swap", current_tasks)
            """,
        )
        for module, name in (
            ("kernel.task", "current_tasks"),
            ("kernel.eager", "swap_current_task"),
        )
    ),
    *(
        Addition(
            CURRENT,
            module,
            """
            from asyncio.events import _get_running_loop, _set_running_loop

            learn_current(current, _get_running_loop, _set_running_loop)
            """,
        )
        for module in ("kernel.task", "kernel.eager")
    ),
    Rewrite(CURRENT, "kernel.task", "current_tasks[loop] = self", "enter(current, loop, self)"),
    Rewrite(CURRENT, "kernel.task", "del current_tasks[loop]", "leave(current, loop)"),
    Rewrite(CURRENT, "kernel.task", "current_tasks[loop] = outer", "enter(current, loop, outer)"),
    Rewrite(
        CURRENT,
        "kernel.eager",
        "swap_current_task(loop, task)",
        "exchange(current, loop, task)",
    ),
    Rewrite(
        CURRENT,
        "kernel.eager",
        "swap_current_task(loop, outer)",
        "exchange(current, loop, outer)",
    ),
)
