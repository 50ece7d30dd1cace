"""Who is who in a run: labels for tasks and callbacks that are the same in every run.

Addresses and the names `Task-12` are not. A label is the name of the coroutine, or the one that the
program has given to the task, behind the label of its maker; and a number if the maker has made
several of that name. The task of the test itself is `test`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from miniloop.kernel.handle import TimerHandle
from miniloop.kernel.task import Task
from miniloop.study.numbering import is_task, task_of_step

__all__ = [
    "KEY",
    "ROOT",
    "Who",
    "name_of_task",
    "name_root",
    "task_of",
    "who_is",
    "who_is_callback",
]

ROOT = "test"

MOST_ANCESTORS = 6

_GIVEN_BY_ASYNCIO = re.compile(r"Task-\d+\Z")
KEY = "_who_in_this_run"


class Who:
    """One task or callback: its label, and how often it has run.

    What it makes is counted by `task`: the task itself or, for a callback, the task that scheduled
    it. So the label of a callback that schedules itself again does not grow each time. Nor does the
    label of a task that ends by starting another: beyond `MOST_ANCESTORS` the test counts for all.
    """

    __slots__ = ("ancestors", "label", "made", "root", "runs", "task")

    def __init__(self, label: str, root: Who | None = None, ancestors: int = 0) -> None:
        self.label = label
        self.runs = 0
        self.root = self if root is None else root
        self.ancestors = ancestors
        self.task = self
        self.made: dict[str, int] = {}

    def child(self, name: str) -> Who:
        """A task that it has made."""
        maker = self.task
        if maker.ancestors >= MOST_ANCESTORS:
            maker = maker.root
        return Who(maker.new_label(name), maker.root, maker.ancestors + 1)

    def callback(self, name: str) -> Who:
        """A callback that it has scheduled."""
        who = Who(self.task.new_label(name), self.root)
        who.task = self.task
        return who

    def timer(self) -> Who:
        """A timer that ends a sleep of this task, whoever runs when it comes due."""
        number = self.made["timer"] = self.made.get("timer", 0) + 1
        who = Who(f"timer {number} of {self.label}", self.root)
        who.task = self.task
        return who

    def new_label(self, name: str) -> str:
        """A label that no other has."""
        count = self.made[name] = self.made.get(name, 0) + 1
        if count > 1:
            name = f"{name}#{count}"
        return name if self is self.root else f"{self.label}/{name}"


def task_of(entry: Any) -> Any:
    """The task of which an entry is a step, be it ours or of asyncio's own class; None if none."""
    return entry if is_task(entry) else task_of_step(entry._callback)


def who_is(task: Any, maker: Who) -> Who:
    """The label of a task that is seen for the first time, or was before."""
    known: Who | None = getattr(task, KEY, None)
    if known is None:
        known = maker.child(name_of_task(task))
        setattr(task, KEY, known)
        # `Task-12` would be another one in the next run.
        if not isinstance(task, Task):
            if _GIVEN_BY_ASYNCIO.match(task.get_name()):
                task.set_name(known.label)
        elif task._name is None:
            task._name = known.label
    return known


def name_root(task: Any) -> Who:
    """Let this one be the test."""
    root: Who = task.__dict__.setdefault(KEY, Who(ROOT))
    if task._name is None:
        task._name = ROOT
    return root


def name_of_task(task: Any) -> str:
    """The name that the program has given it, or else that of its coroutine."""
    given = task._name if isinstance(task, Task) else task.get_name()
    if given is not None and not _GIVEN_BY_ASYNCIO.match(given):
        return given
    coro = task._coro
    name = getattr(coro, "__qualname__", None) or getattr(coro, "__name__", None)
    return str(name or type(coro).__name__).rpartition(".")[2]


def who_is_callback(handle: Any, maker: Who) -> Who:
    """The label of a callback that is seen for the first time; of the end of a sleep, its own."""
    args = handle._args
    if isinstance(handle, TimerHandle) and args:
        sleeper = getattr(args[0], "_waiting", None)
        if isinstance(sleeper, Task) and KEY in sleeper.__dict__:
            known: Who = sleeper.__dict__[KEY]
            return known.timer()
    return maker.callback(_name_of(handle._callback))


def _name_of(callback: Any) -> str:
    if callback is None:
        return "cancelled"
    while isinstance(callback, partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None) or type(callback).__qualname__
    return str(name).rpartition("<locals>.")[2]
