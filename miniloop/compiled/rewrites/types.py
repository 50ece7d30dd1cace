"""Types of C: what handles, futures, tasks and loops have to be, and how they are made."""

from __future__ import annotations

from miniloop.compiled.rewrites.ideas import OBJECTS, TYPES
from miniloop.compiled.specialise import Addition, Bases, Rewrite

__all__ = ["OF_TYPES"]

OF_TYPES: tuple[Addition | Bases | Rewrite, ...] = (
    # What a type of C has to be. None of these can be left out.
    Bases("kernel.handle", "Handle", "Entry"),
    Bases("kernel.handle", "TimerHandle", "Handle"),
    Bases("kernel.future", "Future", "Entry"),
    Bases("kernel.task", "Task", "Future"),
    Bases("kernel.scheduler", "Scheduler", "Core"),
    Rewrite(
        TYPES,
        "kernel.handle",
        '__slots__ = ("__weakref__", "_args", "_callback", "_context", "_loop")',
        "",
    ),
    Rewrite(TYPES, "kernel.handle", '__slots__ = ("_scheduled", "_when")', ""),
    # A type of C would take any arguments, and forget them.
    Rewrite(
        TYPES,
        "kernel.handle",
        "_source_traceback: StackSummary | None = None",
        """
        _source_traceback = None

        def __init__(self):
            pass
        """,
        within="Handle",
    ),
    Rewrite(TYPES, "kernel.handle", "import asyncio", "import asyncio\nimport cython"),
    Rewrite(TYPES, "kernel.future", "import asyncio", "import asyncio\nimport cython"),
    # A class inside of an `if` could not be one of C. What needs its lock is seldom: another thread
    # cancels a call that runs just then. So the lock is made then, and not with each handle.
    Rewrite(
        TYPES,
        "kernel.handle",
        """
        if sys.version_info >= (3, 14): ...
        else: ...
        """,
        """
        class SharedHandle(Handle):
            def cancel(self):
                self._wait()
                Handle.cancel(self)

            def cancelled(self):
                self._wait()
                return self._callback is None

            def _run(self):
                self._runner = this_thread()
                try:
                    Handle._run(self)
                finally:
                    self._runner = 0
                    if self._ended is not None:
                        ended, self._ended = self._ended, None
                        ended.release()

            def _wait(self):
                if WAITS and self._runner and self._runner != this_thread():
                    ended = Lock()
                    ended.acquire()
                    if not self._runner:
                        return
                    if self._ended is None:
                        self._ended = ended
                    with self._ended:
                        pass

        def new_shared_handle(callback, args, loop, context, kind=None):
            if kind is not None:
                handle = kind()
            elif WAITS:
                handle = cython.cast(SharedHandle, make(2))
            else:
                handle = cython.cast(Handle, make(0))
            handle._callback = callback
            handle._args = args
            handle._loop = loop
            handle._context = context
            return handle
        """,
    ),
    Rewrite(
        TYPES,
        "kernel.handle",
        "from _thread import RLock",
        "from _thread import allocate_lock as Lock",
    ),
    Addition(
        TYPES,
        "kernel.handle",
        """
        WAITS = sys.version_info >= (3, 14)
        call_like(SharedHandle, Handle)
        """,
    ),
    Rewrite(
        TYPES,
        "kernel.future",
        """
        def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
        """,
        """
        def __cinit__(self, *args, **kwargs):
            self._state = PENDING
        """,
    ),
    # A field of C is there from the start, and None. One that a subclass has not initialised is
    # refused here by name; in Python it is by the missing attribute.
    Rewrite(
        TYPES,
        "kernel.future",
        """
        if self._state is not PENDING:
            raise InvalidStateError(f"{self._state}: {self!r}")
        """,
        """
        if self._loop is None:
            raise RuntimeError("Future object is not initialized.")
        if self._state is not PENDING:
            raise InvalidStateError(f"{self._state}: {self!r}")
        """,
        times=2,
    ),
    Rewrite(
        TYPES,
        "kernel.future",
        "if msg is not self._cancel_message: ...",
        """
        if self._loop is None:
            raise RuntimeError("Future object is not initialized.")
        if msg is not self._cancel_message:
            self._cancel_message = msg
        """,
    ),
    Rewrite(
        TYPES,
        "kernel.future",
        "loop = self._loop",
        """
        loop = self._loop
        if loop is None:
            raise RuntimeError("Future object is not initialized.")
        """,
        within="Future.add_done_callback",
    ),
    Rewrite(
        TYPES,
        "kernel.future",
        "waiting = self._everybody()",
        """
        if self._loop is None:
            raise RuntimeError("Future object is not initialized.")
        waiting = self._everybody()
        """,
        within="Future.remove_done_callback",
    ),
    Rewrite(TYPES, "kernel.future", 'hasattr(self, "_loop")', "self._loop is not None"),
    Rewrite(
        TYPES,
        "kernel.future",
        """
        try:
            return self._loop
        except AttributeError:
            raise RuntimeError("Future object is not initialized.") from None
        """,
        """
        if self._loop is None:
            raise RuntimeError("Future object is not initialized.")
        return self._loop
        """,
    ),
    Addition(
        TYPES,
        "kernel.future",
        """
        # Fields of C in here, and names of Python for those who import them.
        import sys

        vars(sys.modules[__name__]).update(
            PENDING=PENDING, CANCELLED=CANCELLED, FINISHED=FINISHED
        )
        """,
    ),
    Rewrite(
        TYPES,
        "kernel.future",
        "__class_getitem__: Any = classmethod(GenericAlias)",
        "__class_getitem__ = classmethod(GenericAlias)",
    ),
    Rewrite(
        TYPES,
        "kernel.future",
        """
        @reprlib.recursive_repr()
        def __repr__(self) -> str: ...
        """,
        """
        def __repr__(self):
            return _show(self)
        """,
    ),
    Addition(
        TYPES,
        "kernel.future",
        """
        @reprlib.recursive_repr()
        def _show(future):
            return f"<{type(future).__name__} {' '.join(future._describe())}>"
        """,
    ),
    Rewrite(
        TYPES,
        "kernel.task",
        """
        @reprlib.recursive_repr()
        def __repr__(self) -> str: ...
        """,
        "",
    ),
    *(
        Rewrite(
            TYPES,
            module,
            "_allocate = object.__new__",
            """
            def _allocate(kind):
                return kind.__new__(kind)  # `object` does not make what has fields of C
            """,
        )
        for module in ("kernel.future", "kernel.task", "kernel.eager")
    ),
    Rewrite(OBJECTS, "kernel.future", "_allocate(Future)", "cython.cast(Future, make(0))"),
    Rewrite(
        OBJECTS,
        "kernel.task",
        "_allocate(Task)",
        "cython.cast(Task, make(0))",
        within="new_task",
    ),
    Rewrite(OBJECTS, "kernel.eager", "_allocate(Task)", "blank_task()"),
    Rewrite(
        OBJECTS,
        "kernel.handle",
        "kind()",
        "(cython.cast(Handle, make(0)) if kind is Handle else kind())",
        within="new_handle",
    ),
    Rewrite(
        OBJECTS,
        "kernel.handle",
        "kind()",
        "(cython.cast(TimerHandle, make(1)) if kind is TimerHandle else kind())",
        within="new_timer",
    ),
    *(
        Addition(
            OBJECTS,
            module,
            f"""
            _blank = {kind}.__new__({kind})
            _blank._state = None  # no field may hold what has to be counted
            pool_of(_blank, 0)
            del _blank
            """,
        )
        for module, kind in (("kernel.future", "Future"), ("kernel.task", "Task"))
    ),
    Addition(
        TYPES,
        "kernel.handle",
        """
        pool_of(Handle.__new__(Handle), 0)
        pool_of(TimerHandle.__new__(TimerHandle), 1)
        pool_of(SharedHandle.__new__(SharedHandle), 2)
        """,
    ),
    Rewrite(
        OBJECTS,
        "kernel.scheduler",
        "handle = self.handle_type()",
        """
        if self.handle_type is Handle:
            made = new_handle(
                callback, args, self, copied_context() if context is None else context
            )
            self.enqueue(made)
            return made
        handle = self.handle_type()
        """,
        within="Scheduler.call_soon",
    ),
)
