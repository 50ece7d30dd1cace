"""The nanoseconds that the decisions, and the comments in `miniloop`, are based on.

    python docs/decisions/hot_paths.py

Each figure is the least of many short runs, in nanoseconds: on a busy machine the least is nearest
to what the work itself costs. Sizes are in bytes, as sys.getsizeof gives them.
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import time
import timeit
import types
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from itertools import islice, repeat
from typing import Any

import miniloop
from miniloop.kernel.future import new_future
from miniloop.kernel.handle import Handle, new_handle
from miniloop.kernel.scheduler import Scheduler
from miniloop.kernel.task import new_task

SLOTS = (
    "_loop",
    "_state",
    "_result",
    "_exception",
    "_waiting",
    "_asyncio_future_blocking",
    "_log_traceback",
    "_cancel_message",
)
LOOP = object()


def _fill(future: Any) -> None:
    future._loop = LOOP
    future._state = "PENDING"
    future._result = None
    future._exception = None
    future._waiting = None
    future._asyncio_future_blocking = False
    future._log_traceback = False
    future._cancel_message = None


class Plain:
    """A class of its own."""

    __slots__ = (*SLOTS, "__weakref__")

    def __init__(self) -> None:
        _fill(self)


class Derived(asyncio.Future[Any]):
    """A subclass of the C type that overrides everything."""

    __slots__ = SLOTS

    def __init__(self) -> None:
        _fill(self)

    def __del__(self) -> None:  # the C type has a finalizer, which would look at its own fields
        pass


class Claiming(Plain):
    """A class of its own whose instances say that they are futures of asyncio's."""

    __slots__ = ()

    @property  # type: ignore[misc]  # writable in `object`
    def __class__(self) -> type:
        return asyncio.Future


class Finalized(Plain):
    """A class of its own with a finalizer."""

    __slots__ = ()

    def __del__(self) -> None:
        if self._log_traceback:
            raise AssertionError


def least(function: Callable[[], object], number: int = 20_000, repeat: int = 40) -> float:
    """Nanoseconds a call, in the best of `repeat` runs."""
    return min(timeit.repeat(function, number=number, repeat=repeat)) / number * 1e9


def measure_types() -> None:
    """Ways to satisfy `isinstance(future, asyncio.Future)`."""
    print("\nmake and drop a future        ns   bytes   isinstance of asyncio.Future")
    for kind in (Plain, Derived, Claiming, Finalized):
        one: Any = kind()
        print(
            f"{kind.__name__:24} {least(kind):7.0f} {sys.getsizeof(one):7}   "
            f"{isinstance(one, asyncio.Future)}"
        )
    loop = asyncio.new_event_loop()
    stock = asyncio.Future(loop=loop)
    print(
        f"{'asyncio.Future, in C':24} {least(loop.create_future):7.0f} "
        f"{sys.getsizeof(stock):7}   True"
    )
    loop.close()


def measure_registration() -> None:
    """Ways to have `asyncio.all_tasks()` find a task."""
    table: weakref.WeakSet[Any] = weakref.WeakSet()
    own: set[Any] = set()

    def by_weak_set() -> None:
        table.add(Plain())

    def by_own_set() -> None:
        one = Plain()
        own.add(one)
        own.discard(one)

    bare = least(Plain)
    print("\nmake a task known, and drop it    ns")
    print(f"{'a WeakSet, as asyncio does':32} {least(by_weak_set) - bare:5.0f}")
    print(f"{'a set that the loop has anyway':32} {least(by_own_set) - bare:5.0f}")


def measure_calls() -> None:
    """`context.run(callback, *args)`, and the same spelled out."""
    run = copy_context().run

    def callback(*_: object) -> None:
        pass

    one, two, three = "abc"
    ways: list[tuple[Callable[[], None], Callable[[], None]]] = [
        (lambda: run(callback, *()), lambda: run(callback)),
        (lambda: run(callback, *(one,)), lambda: run(callback, one)),
        (lambda: run(callback, *(one, two)), lambda: run(callback, one, two)),
        (lambda: run(callback, *(one, two, three)), lambda: run(callback, one, two, three)),
    ]
    for count, (starred, spelled) in enumerate(ways):
        row(f"run(callback, *{count} arguments), spelled out", least(starred), least(spelled))


def measure_steps() -> None:
    """What goes with each step of a task."""
    loop = object()
    tasks = asyncio.tasks
    table = getattr(tasks, "_current_tasks", {})

    def by_functions() -> None:
        tasks._enter_task(loop, 1)  # type: ignore[attr-defined, arg-type]  # anything will do
        tasks._leave_task(loop, 1)  # type: ignore[attr-defined, arg-type]

    def by_table() -> None:
        table[loop] = 1
        del table[loop]

    row("_enter_task and _leave_task, the table", least(by_functions), least(by_table))
    with select.epoll() as epoll:
        row("epoll.poll(0), time.monotonic()", least(lambda: epoll.poll(0)), least(time.monotonic))
    with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
        method = types.MethodType(Scheduler.time, runner.get_loop())
        row("time by a method of the loop, time.monotonic", least(method), least(time.monotonic))


class _SchedulesByMaker(miniloop.EventLoop):
    """A loop whose `call_soon` makes its handles as `call_soon_threadsafe` does."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = self.make_handle(
            callback, args, self, copy_context() if context is None else context
        )
        self.enqueue(handle)
        return handle


class _Constructed(Handle):
    """A handle with a constructor."""

    __slots__ = ()

    def __init__(self, callback: Any, args: Any, loop: Any, context: Any) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context


def scheduling(loop: miniloop.EventLoop) -> float:
    """Nanoseconds for a `call_soon`, without what it schedules."""

    def nothing() -> None:
        pass

    best = float("inf")
    for _ in range(100):
        start = time.perf_counter()
        for _ in range(2_000):
            loop.call_soon(nothing)
        best = min(best, time.perf_counter() - start)
        loop.stop()
        loop.run_forever()
    return best / 2_000 * 1e9


def measure_makers() -> None:
    """The constructors, and the makers that write them out."""
    loop = miniloop.new_event_loop()
    context = copy_context()

    async def nothing() -> None:
        pass

    def task_by(make: Callable[[Any], Any]) -> float:
        best = float("inf")
        for _ in range(40):
            coroutines = [nothing() for _ in range(2_000)]
            start = time.perf_counter()
            tasks = [make(coroutine) for coroutine in coroutines]
            best = min(best, time.perf_counter() - start)
            loop.run_until_complete(asyncio.gather(*tasks))
        return best / 2_000 * 1e9

    by_maker = _SchedulesByMaker()
    row("call_soon by new_handle, call_soon", scheduling(by_maker), scheduling(loop))
    by_maker.close()
    row(
        "a handle by __init__, new_handle(...)",
        least(lambda: _Constructed(print, (), loop, context)),
        least(lambda: new_handle(print, (), loop, context)),
    )
    row(
        "Future(...), new_future(...)",
        least(lambda: miniloop.Future(loop=loop)),
        least(lambda: new_future(loop)),
    )
    row(
        "Task(...), new_task(...)",
        task_by(lambda coroutine: miniloop.Task(coroutine, loop=loop)),
        task_by(lambda coroutine: new_task(loop, coroutine, None, None)),
    )
    loop.close()


class _Entry:
    """What the ready queue holds, with nothing to do."""

    __slots__ = ()

    def _run(self) -> None:
        pass


def measure_turns() -> None:
    """Running what is in the ready queue: taken by a call each, and from an iterator."""
    ready: deque[_Entry] = deque()
    take = ready.popleft
    taken = map(deque.popleft, repeat(ready))
    entry = _Entry()

    def fill(count: int) -> Callable[[], None]:
        return lambda: ready.extend([entry] * count)

    def by_calls() -> None:
        for _ in range(len(ready)):
            take()._run()

    def counted() -> None:
        count = len(ready)
        for entry in taken:
            entry._run()
            count -= 1
            if not count:
                break

    def sliced() -> None:
        for entry in islice(taken, len(ready)):
            entry._run()

    for count, run in ((1, counted), (8, counted), (8, sliced), (1000, sliced)):
        prepare = fill(count)
        number = 20_000 // count
        filling = least(prepare, number=number)
        ready.clear()
        row(
            f"{count} entries by calls, an iterator {run.__name__}",
            least(lambda prepare=prepare: (prepare(), by_calls()), number=number) - filling,
            least(lambda prepare=prepare, run=run: (prepare(), run()), number=number) - filling,
        )


def measure_reads() -> None:
    """Reading 1 KiB of a stream, and asking for more or less than that."""
    near, far = socket.socketpair()
    message = bytes(1024)

    def read(size: int) -> float:
        def once() -> None:
            far.send(message)
            near.recv(size)

        return least(once, number=2_000)

    with near, far:
        for size in (16, 64, 128, 256):
            print(f"{f'send 1 KiB, recv({size} KiB)':44} {read(size * 1024):6.0f}")


def row(what: str, first: float, second: float) -> None:
    """One line of a table: two ways, and what the second saves."""
    print(f"{what:44} {first:6.0f} {second:6.0f}   {1 - second / first:4.0%} less")


if __name__ == "__main__":
    print(f"CPython {sys.version.split()[0]}")
    measure_types()
    measure_registration()
    print("\none way, the other                               ns     ns")
    measure_calls()
    measure_steps()
    measure_makers()
    measure_turns()
    measure_reads()
