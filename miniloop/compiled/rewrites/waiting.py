"""Futures: whoever waits for one, and `await`."""

from __future__ import annotations

from miniloop.compiled.rewrites.ideas import AWAIT, TYPES, WAKE
from miniloop.compiled.specialise import Addition, Rewrite

__all__ = ["OF_WAITING"]

OF_WAITING: tuple[Addition | Rewrite, ...] = (
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
    # A method of C has no code of Python, be it a generator or not.
    Rewrite(
        TYPES,
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
                ended = cython.declare(cython.bint, False)
                value = go_on(self, cython.address(ended))
                if ended:
                    raise StopIteration(value)
                return value

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


        @cython.cfunc
        @cython.locals(awaiter=FutureAwaiter, ended=cython.p_bint, future=Future)
        def go_on(awaiter, ended):
            future = awaiter.future
            if future is None:
                ended[0] = True
                return None
            if future._state is PENDING:
                if not future._asyncio_future_blocking:
                    future._asyncio_future_blocking = True
                    return future
                raise RuntimeError("await wasn't used with future")
            awaiter.future = None
            if future._state is FINISHED and future._exception is None:
                value = future._result
            else:
                value = future.result()
            ended[0] = True
            return value


        use_step(FutureAwaiter, cython.cast(Step, go_on))
        ''',
        like="Future.__await__",
    ),
)
