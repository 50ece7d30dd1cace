"""The table: what stands in the compiled build in place of what people read, and what it is for.

Each entry is one idea, and taking one out leaves a build that works: the second half of the
ablation does so, and has the figures.
"""

from __future__ import annotations

from miniloop.compiled.specialise import Addition, Bases, Rewrite, Slots

__all__ = ["IDEAS", "LATE", "MODULES", "REWRITES"]

# In the order of their imports.
MODULES = (
    "kernel.core",
    "kernel.handle",
    "kernel.timers",
    "kernel.epoll",
    "kernel.poller",
    "kernel.future",
    "kernel.task",
    "kernel.eager",
    "kernel.scheduler",
    "net.write_buffer",
    "net.flow_control",
    "net.burst",
    "net.stream",
    "net.datagram",
)

STEP = "a step of a coroutine"
CALL = "a callback, called in its context"
TYPES = "types that the compiler knows"
OBJECTS = "objects made without their class"
AWAIT = "await a future without a generator"
WAKE = "whoever waits is told by a C method"
EVENT = "what the kernel reports, in numbers of C"
CURRENT = "who is running now, without a method"
RUN = "an entry is run by a C method"
CLOCK = "the clock of the system, without an object"
PLACE = "slots of a transport, where they lie"
BYTES = "recv and send of C"

LATE = "an object's dictionary made late"  # by `build.polish`

# Those that a build can do without, each with what it is instead.
IDEAS = {
    STEP: "`Context.run`, a bound `send` and a StopIteration at the end of a task",
    CALL: "`Context.run` of a callback",
    CURRENT: "a method of the table of current tasks",
    OBJECTS: "`__new__` looked up and called, and a type called to make a handle",
    AWAIT: "a generator for each `await` of a future",
    WAKE: "`_wake` looked up by its name",
    EVENT: "events and masks as Python's integers",
    RUN: "`_run` looked up by its name, and `islice` over the queue",
    CLOCK: "`time.monotonic` called, and floats made, once a poll",
    PLACE: "a slot asked for by its name",
    BYTES: "methods of the socket, and 16 KiB for each read",
    LATE: "a dictionary made with each future and task",
}

REWRITES: tuple[Rewrite | Bases | Addition | Slots, ...] = (
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
    Rewrite(TYPES, "kernel.timers", '__slots__ = ("_sequence", "cancelled", "entries")', ""),
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
    Rewrite(OBJECTS, "kernel.future", "_allocate(Future)", "Future.__new__(Future)"),
    Rewrite(OBJECTS, "kernel.task", "_allocate(Task)", "Task.__new__(Task)", times=2),
    Rewrite(OBJECTS, "kernel.eager", "_allocate(Task)", "Task.__new__(Task)"),
    Rewrite(
        OBJECTS,
        "kernel.handle",
        "kind()",
        "(Handle.__new__(Handle) if kind is Handle else kind())",
        within="new_handle",
    ),
    Rewrite(
        OBJECTS,
        "kernel.handle",
        "kind()",
        "(TimerHandle.__new__(TimerHandle) if kind is TimerHandle else kind())",
        within="new_timer",
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
        STEP,
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
    # A callback.
    Rewrite(
        CALL,
        "kernel.handle",
        """
        if count == 0: ...
        else: ...
        """,
        "invoke(self._context, callback, args)",
    ),
    Rewrite(CALL, "kernel.handle", "count = len(args)", "", within="Handle._run"),
    # Who waits.
    Rewrite(WAKE, "kernel.future", "waiting._wake(self)", "wake(waiting, self)"),
    Rewrite(WAKE, "kernel.future", "entry._wake(self)", "wake(entry, self)", times=3),
    Rewrite(WAKE, "kernel.task", "waiting._wake(self)", "wake(waiting, self)"),
    Rewrite(
        WAKE,
        "kernel.task",
        "def _wake(self, future: Future[Any]) -> None: ...",
        """
        def _wake(self, future):
            self._tell(future)

        def _tell(self, future):
            done = future
            if done._exception is not None or done._state is CANCELLED:
                self._throw = future
            loop = self._loop
            loop.enqueue(self)
        """,
    ),
    Rewrite(
        WAKE,
        "kernel.handle",
        "def _wake(self, future: Any) -> None: ...",
        """
        def _wake(self, future):
            self._tell(future)

        def _tell(self, future):
            loop = self._loop
            self._args = (future,)
            loop.enqueue(self)
        """,
    ),
    # Awaiting.
    Rewrite(
        AWAIT,
        "kernel.future",
        "def __await__(self) -> Generator[Any, None, T]: ...",
        """
        def __await__(self):
            return FutureAwaiter(self)
        """,
    ),
    Rewrite(
        AWAIT,
        "kernel.future",
        "__iter__ = __await__",
        """
        def __iter__(self):
            return FutureAwaiter(self)
        """,
    ),
    Rewrite(
        AWAIT,
        "kernel.future",
        "AWAIT_CODE = Future.__await__.__code__",
        "AWAIT_CODE = None",
    ),
    Addition(
        AWAIT,
        "kernel.future",
        '''
        import warnings


        class FutureAwaiter:
            """What `await` goes through: yields the future once, then ends with its result."""

            def __init__(self, future):
                self.future = future

            def __iter__(self):
                return self

            def __next__(self):
                future = self.future
                if future is None:
                    raise StopIteration
                if future._state is PENDING:
                    if not future._asyncio_future_blocking:
                        future._asyncio_future_blocking = True
                        return future
                    raise RuntimeError("await wasn't used with future")
                self.future = None
                if future._state is FINISHED and future._exception is None:
                    if future._result is None:
                        raise StopIteration
                    raise StopIteration(future._result)
                raise StopIteration(future.result())

            def send(self, value):
                return self.__next__()

            def throw(self, kind, *rest):
                value, trace = (*rest, None, None)[:2]
                if rest:
                    warnings.warn(
                        "throw() of a type, a value and a traceback is deprecated: "
                        "pass the exception alone",
                        DeprecationWarning,
                        stacklevel=1,
                    )
                if trace is not None and not isinstance(trace, TracebackType):
                    raise TypeError(f"a traceback was expected, got {trace!r}")
                if isinstance(kind, BaseException):
                    if value is not None:
                        raise TypeError("an exception and a value for it cannot both be thrown")
                    value = kind
                elif not (isinstance(kind, type) and issubclass(kind, BaseException)):
                    raise TypeError(f"an exception was expected, got {kind!r}")
                elif not isinstance(value, kind):
                    value = kind() if value is None else kind(value)
                self.future = None
                return rethrow(value if trace is None else value.with_traceback(trace))

            def close(self):
                self.future = None
        ''',
    ),
    # Events.
    Rewrite(
        EVENT,
        "kernel.poller",
        """
        for fd, event in events: ...
        """,
        """
        if type(events) is Events:
            hand_out(self, watches, events, enqueue)
            return
        for pair in events:
            fd, event = pair
            found = watches.get(fd)
            if found is None:
                self._unregister(fd)
                continue
            tell(self, found, event, enqueue)
        """,
        within="Poller.deliver",
    ),
    Rewrite(
        EVENT,
        "kernel.poller",
        "import select",
        """
        import cython
        import select
        """,
    ),
    Addition(
        EVENT,
        "kernel.poller",
        """
        if (READ_BIT, WRITE_BIT) != (READ, WRITE):
            raise SystemError("poller.pxd has other bits than poller.py")
        """,
    ),
    Rewrite(
        EVENT,
        "kernel.poller",
        "self._epoll.poll",
        "EpollWait(self._epoll)",
    ),
    Rewrite(EVENT, "kernel.scheduler", "wait(0)", "look(wait, 0)"),
    Rewrite(
        EVENT,
        "kernel.scheduler",
        "wait(0 if ready else timeout)",
        "look(wait, 0 if ready else timeout)",
    ),
    Rewrite(
        EVENT,
        "kernel.scheduler",
        "resolution = self._resolution",
        """
        resolution = self._resolution
        in_c = type(wait) is EpollWait and getattr(deliver, "__func__", None) is Poller.deliver
        watches = poller.watches
        """,
    ),
    Rewrite(
        EVENT,
        "kernel.scheduler",
        """
        if arrived:
            deliver(arrived, enqueue)
        """,
        """
        if in_c:
            hand_out(poller, watches, arrived, enqueue)
        elif arrived:
            deliver(arrived, enqueue)
        """,
    ),
    # Running.
    Rewrite(
        RUN,
        "kernel.scheduler",
        "taken = map(type(ready).popleft, repeat(ready))",
        "take = ready.popleft",
    ),
    Rewrite(
        RUN,
        "kernel.scheduler",
        "taken = map(joints.take, chosen)",
        "take = map(joints.take, chosen).__next__",
    ),
    Rewrite(
        RUN,
        "kernel.scheduler",
        """
        if count > MANY: ...
        else: ...
        """,
        """
        for number in range(count):
            entry = take()
            run_entry(entry)
        """,
    ),
    Rewrite(
        RUN,
        "kernel.scheduler",
        "self.timer_limit = inf if self._clock_may_leap else next_poll",
        """
        self.timer_limit = inf if self._clock_may_leap else next_poll
        check_signals()  # no step of Python may come for a long time
        """,
    ),
    Rewrite(RUN, "kernel.scheduler", "turns = range(MOST_TURNS)", "turns = MOST_TURNS"),
    Rewrite(RUN, "kernel.scheduler", "turns", "range(turns)"),
    Rewrite(RUN, "kernel.scheduler", "begin_turn(ready)", "length(begin_turn, ready)"),
    Rewrite(
        CLOCK,
        "kernel.scheduler",
        "now = self._clock()",
        """
        if self._clock is monotonic:
            now = system_monotonic()
        else:
            now = self._clock()
        """,
    ),
    Rewrite(
        CLOCK,
        "kernel.scheduler",
        "enqueue = self.enqueue",
        """
        enqueue = self.enqueue
        interval = POLL_INTERVAL
        """,
        within="Scheduler.run_turns",
    ),
    Rewrite(CLOCK, "kernel.scheduler", "now + POLL_INTERVAL", "now + interval"),
    # A stream.
    Rewrite(
        TYPES,
        "net.write_buffer",
        '__slots__ = ("_pieces", "size")',
        "",
    ),
    Rewrite(
        TYPES,
        "net.flow_control",
        '__slots__ = ("_loop", "_transport", "high", "low", "paused", "protocol")',
        "",
    ),
    Rewrite(
        TYPES,
        "net.stream",
        "import asyncio",
        """
        import asyncio
        import cython
        """,
    ),
    Slots(
        PLACE,
        "net.stream",
        "StreamTransport",
        {
            "_buffer": "WriteBuffer",
            "_buffered_protocol": "",
            "_closing": "",
            "_ended": "",
            "_eof_written": "",
            "_file": "",
            "_flushed": "",
            "_lost": "",
            "_marks": "WriteMarks",
            "_paused": "",
            "_protocol": "",
            "_read_size": "",
        },
    ),
    Addition(
        BYTES,
        "net.stream",
        """
        with socket.socket() as _sock:
            learn_sockets(_sock)
        """,
    ),
    Rewrite(
        BYTES,
        "net.stream",
        "size = self._read_size",
        """
        size = cython.declare(cython.Py_ssize_t, self._read_size)
        count = cython.declare(cython.Py_ssize_t)
        """,
    ),
    Rewrite(BYTES, "net.stream", "self._file.recv(size)", "receive_bytes(self._file, size)"),
    Rewrite(
        BYTES, "net.stream", "self._file.recv_into(buffer)", "receive_into(self._file, buffer)"
    ),
    Rewrite(
        BYTES,
        "net.stream",
        "sent = self._file.send(data)",
        "sent = send_bytes(self._file, data)",
    ),
    Rewrite(
        BYTES,
        "net.stream",
        """
        if not data:
            return
        """,
        """
        sent = cython.declare(cython.Py_ssize_t)
        if not data:
            return
        """,
        within="StreamTransport.write",
    ),
    # Datagrams.
    Rewrite(TYPES, "net.burst", '__slots__ = ("_full", "_longest", "_patience", "length")', ""),
    Rewrite(
        TYPES,
        "net.datagram",
        "import asyncio",
        """
        import asyncio
        import cython
        """,
    ),
    Slots(
        PLACE,
        "net.datagram",
        "DatagramTransport",
        {
            "_address": "",
            "_burst": "Burst",
            "_closing": "",
            "_connected": "",
            "_file": "",
            "_lost": "",
            "_marks": "WriteMarks",
            "_paused": "",
            "_protocol": "",
            "_queue": "",
            "_receive": "",
            "_size": "",
        },
    ),
    Addition(
        BYTES,
        "net.datagram",
        """
        with socket.socket() as _sock:
            learn_sockets(_sock)
        """,
    ),
    Rewrite(BYTES, "net.datagram", "receive()", "receive_from(self._file, receive)"),
    Rewrite(BYTES, "net.datagram", "self._file.send(data)", "send_bytes(self._file, data)"),
    Rewrite(
        BYTES,
        "net.datagram",
        "self._file.sendto(data, address)",
        "send_to(self._file, data, address)",
    ),
)
