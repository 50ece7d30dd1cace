"""The numbers of things: entries, futures, descriptors, threads.

Objects are told apart by their address, which is unique while they live. So the recorder forgets a
number when it sees that the object is finished, and a new object gets a new number. No object is
kept alive for this.

Of the program's objects only the type is looked at, and of functions and coroutines their code:
asking for an attribute may run code of the program.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from itertools import count
from math import isfinite
from types import CoroutineType, FunctionType, GeneratorType, MethodType
from typing import Any
from weakref import ref

from miniloop.kernel.future import PENDING, Future
from miniloop.kernel.probes import unprobed
from miniloop.kernel.registry import current_tasks
from miniloop.kernel.task import Task
from miniloop.loop import EventLoop
from miniloop.study.descriptors import describe_descriptor
from miniloop.study.places import Places
from miniloop.study.records import (
    DESCRIPTOR,
    FUTURE,
    KNOWN,
    NAMED,
    QUEUED_BEFORE,
    THERE,
    THREAD,
    text_to_numbers,
)

__all__ = ["Numbers", "describe_error", "is_task", "nanoseconds", "task_of_step"]

_STEP_ON_FOREIGN_FUTURE = Task._wakeup
_MOST_OF_TEXT = 500
_IN_C = ("builtins", "_asyncio")
_CTask: Any = vars(asyncio.tasks).get("_CTask")
_TASKS: Any = Task if _CTask is None else (Task, _CTask)


class Numbers:
    """Gives numbers to the things of one loop, and notes in `log` what they are."""

    def __init__(self, loop: EventLoop, places: Places, log: list[int]) -> None:
        self.by_address: dict[int, int] = {}
        self.new = count().__next__
        # Handles which are steps of tasks: of those that wait on futures of another make, and of
        # tasks of another make.
        self.steps: dict[int, ref[Any]] = {}
        self._foreign_tasks: dict[int, ref[Any]] = {}
        self.eager: list[tuple[int, Any]] = []  # first steps under way inside of another step
        self.calls: dict[int, int] = {}  # futures of calls in threads
        self._loop = loop
        self._places = places
        self._put = log.extend
        self._readers: dict[int, tuple[ref[Any], int]] = {}
        self._descriptors: dict[int, tuple[Any, str, int]] = {}
        self._threads: dict[int, int] = {}
        self._failed: dict[int, int] = {}  # by the address of the exception
        self._told: dict[int, str] = {}  # names of tasks
        self._cancelled: dict[int, tuple[Any, int]] = {}  # timers that the heap still has

    def of_entry(self, entry: Any) -> int:
        """The number of a task or a handle; a new number if it was not seen when it was made."""
        number = self.by_address.get(id(entry))
        return self.unexpected(entry) if number is None else number

    def unexpected(self, entry: Any) -> int:
        """A number for an entry that was not seen when it was made."""
        if not is_task(entry):
            number = self.new()
            self._put((QUEUED_BEFORE, number, self.what(entry._callback)))
        elif self.eager and current_tasks.get(self._loop) is entry:
            number = self.by_address[id(entry)] = self.eager[-1][0]  # it is just being made
        elif not issubclass(type(entry), Task):
            # It took its first step inside of another one, by `eager_start`.
            number, coro = self.of_new_task(entry), entry._coro
            place = -1 if coro is None else self._places.of_coroutine(coro)
            self._put((THERE, number, self.what(coro), place, -1))
            self.tell_name(number, entry)
        else:
            number = self.by_address[id(entry)] = self.new()
            self._put((THERE, number, self.what(entry._coro), -1, -1))
        return number

    def of_new_handle(self, handle: Any) -> int:
        """The number of a handle that is new; that of the task, if it is a step of one."""
        callback = handle._callback
        if type(callback) is MethodType and callback.__func__ is _STEP_ON_FOREIGN_FUTURE:
            self.steps[id(handle)] = ref(callback.__self__)
            return self.of_entry(callback.__self__)
        if (task := task_of_step(callback)) is not None:
            self.steps[id(handle)] = ref(task)
            return self.of_entry(task)
        number = self.by_address[id(handle)] = self.new()
        return number

    def of_new_task(self, task: Any) -> int:
        """A number for a task of asyncio's own class, which may be collected before it is done."""
        address = id(task)
        number = self.by_address[address] = self.new()

        def forget(gone: ref[Any]) -> None:
            if self._foreign_tasks.get(address) is gone:
                del self._foreign_tasks[address]
                if self.by_address.get(address) == number:
                    del self.by_address[address]

        self._foreign_tasks[address] = ref(task, forget)
        return number

    def of_reader(self, handle: Any) -> int:
        """The number of a handle that is queued again and again."""
        known = self._readers.get(id(handle))
        if known is not None and known[0]() is handle:
            return known[1]
        number = self.new()
        self._readers[id(handle)] = ref(handle), number
        return number

    def of_future(self, future: Any) -> int:
        """The number of a future that is not done."""
        number = self.by_address.get(id(future))
        if number is not None:
            return number
        if is_task(future):
            return self.unexpected(future)
        number = self.by_address[id(future)] = self.of_passing_future(future)
        return number

    def of_passing_future(self, future: Any) -> int:
        """A number for a future that need not be remembered."""
        number = self.new()
        if type(future) is not Future:
            self._put((FUTURE, number, *text_to_numbers(type(future).__name__)))
        return number

    def of_descriptor(self, fd: int) -> int:
        """The number of the file that a descriptor stands for now."""
        watch = self._loop.poller.watches.get(fd)
        known = self._descriptors.get(fd)
        if known is not None and watch is not None and known[0] is watch:
            return known[2]
        text = describe_descriptor(fd, self._loop)
        if known is not None and known[1] == text:
            number = known[2]
        else:
            number = self.new()
            self._put((DESCRIPTOR, number, fd, *text_to_numbers(text)))
        self._descriptors[fd] = watch, text, number
        return number

    def of_thread(self, ident: int) -> int:
        """The number of the thread that calls."""
        number = self._threads.get(ident)
        if number is None:
            number = self._threads[ident] = self.new()
            name = threading.current_thread().name
            self._put((THREAD, number, *text_to_numbers(name)))
        return number

    def of_failed(self, error: BaseException) -> int:
        """The number of the task or future that this exception has ended; -1 if there is none."""
        return self._failed.get(id(error), -1)

    def remember_failure(self, number: int, error: BaseException) -> None:
        """This exception has ended it."""
        self._failed[id(error)] = number

    def remember_cancelled(self, number: int, timer: Any) -> None:
        """A timer is cancelled, and stays in the heap until it is swept out."""
        self._cancelled[id(timer)] = timer, number

    def timers_gone(self) -> list[int]:
        """Those of them that have left the heap."""
        gone = [key for key, (timer, _) in self._cancelled.items() if not timer._scheduled]
        return [self._cancelled.pop(key)[1] for key in gone]

    def tell_name(self, number: int, task: Any) -> None:
        """Note the name of a task, if it has one and that is not known; see to it at its end."""
        name = task._name if issubclass(type(task), Task) else task.get_name()
        if name is not None and self._told.get(number) != name:
            self._put((NAMED, number, *text_to_numbers(name)))
        if task._state is PENDING and name is not None:
            self._told[number] = name
        else:
            self._told.pop(number, None)

    def will_be_named(self, task: Any, name: str) -> None:
        """A task is about to be given a name."""
        number = self.by_address.get(id(task))
        if number is not None:
            self._told[number] = name
            self._put((NAMED, number, *text_to_numbers(name)))

    def tell_again(self) -> None:
        """Note once more what there is: what was noted before may be dropped."""
        foreign: list[Any] = [task() for task in list(self._foreign_tasks.values())]
        for task in (*self._loop.tasks, *foreign):
            number = self.by_address.get(id(task))
            if number is not None and is_task(task):
                self._put((KNOWN, number, self.what(task._coro)))
                self._told.pop(number, None)
                self.tell_name(number, task)
        for fd, (_, text, number) in self._descriptors.items():
            self._put((DESCRIPTOR, number, fd, *text_to_numbers(text)))

    def let_go(self) -> None:
        """Drop the references to parts of the poller."""
        self._descriptors = {
            fd: (None, text, number) for fd, (_, text, number) in self._descriptors.items()
        }

    def what(self, called: Any) -> int:
        """What a callback or a coroutine is: a place, or the number of a name."""
        while type(called) is partial:
            called = called.func
        kind = type(called)
        if kind is MethodType:
            called = called.__func__
            kind = type(called)
        if kind is FunctionType:
            return self._places.of_code(unprobed(called).__code__)
        if kind is CoroutineType:
            return self._places.of_code(called.cr_code)
        if kind is GeneratorType:
            return self._places.of_code(called.gi_code)
        if called is None:
            return self._places.of_name("(cancelled)")
        if (task := task_of_step(called)) is not None:
            return self.what(task.get_coro())
        if kind.__module__ == "builtins" and hasattr(called, "__qualname__"):
            return self._places.of_name(str(called.__qualname__))
        return self._places.of_name(kind.__qualname__)


def is_task(entry: Any) -> bool:
    """Whether it is a task of ours, or of asyncio's in C; `isinstance` would ask the object."""
    kind = type(entry)
    return kind is Task or issubclass(kind, _TASKS)


def task_of_step(callback: Any) -> Any:
    """The task of asyncio's own class, in C, of which a callback is a step; None if it is none."""
    kind = type(callback)
    if kind is FunctionType or kind is MethodType or _CTask is None or kind.__module__ not in _IN_C:
        return None
    owner = getattr(callback, "__self__", None)
    return owner if issubclass(type(owner), _CTask) else None


def describe_error(error: BaseException) -> tuple[int, ...]:
    """An exception as the text of a record."""
    name = type(error).__qualname__
    try:
        text = str(error)
    except Exception as problem:
        text = f"(its text cannot be had: {type(problem).__qualname__})"
    text = f"{name}: {text}" if text else name
    return text_to_numbers(text[:_MOST_OF_TEXT])


_FOR_EVER = 1 << 62


def nanoseconds(seconds: float) -> int:
    """Seconds as a record has them; for ever is a very large number."""
    if not isfinite(seconds):
        return _FOR_EVER if seconds > 0 else 0
    return max(-_FOR_EVER, min(_FOR_EVER, int(seconds * 1e9)))
