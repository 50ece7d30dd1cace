"""What `python -m miniloop` has to say on standard error, and with `-v`, which loops ran.

Each process appends a line to one file whenever a loop runs for the first time, and the process
that was started first shows them all at its exit. So a child is counted however it ends.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
import tempfile
import weakref
from collections import Counter
from typing import Any

from miniloop.kernel import COMPILED
from miniloop.loop import EventLoop
from miniloop.swap import settings

__all__ = ["count_if_wanted", "new_file", "object_to", "say"]

_said: set[tuple[int, str]] = set()
_noted_in: set[str] = set()


def say(what: str) -> None:
    """Say it, once in each process."""
    if (os.getpid(), what) not in _said:
        _said.add((os.getpid(), what))
        if sys.stderr is not None:
            sys.stderr.write(f"python -m miniloop: {what}\n")


def object_to(what: str, answer: str) -> None:
    """Say what the program did, and what it gets; with `--strict`, raise RuntimeError."""
    if settings.in_force().strict:
        raise RuntimeError(f"{what}; --strict allows nothing but miniloop")
    say(f"{what}; {answer}")


def new_file() -> str:
    """A new file for the notes of this process and its children."""
    handle, path = tempfile.mkstemp(prefix="miniloop-")
    os.close(handle)
    return path


def count_if_wanted() -> None:
    """With `-v`: note the loops that this process runs, and in the first one, show all at exit."""
    wanted = settings.in_force()
    if wanted.report is None or wanted.report in _noted_in:
        return
    _noted_in.add(wanted.report)
    _note_when_run(wanted.report)
    if os.getpid() == wanted.main:
        atexit.register(_show, wanted)
        _show_before_the_end_by_a_signal(wanted)


def _note_when_run(path: str) -> None:
    noted: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def note(loop: object) -> None:
        if noted.get(loop) != os.getpid():  # a forked child may run a loop of its parent
            noted[loop] = os.getpid()
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{os.getpid()} {_name(type(loop))}\n")

    run_forever = EventLoop.run_forever

    def note_and_run(self: EventLoop) -> None:
        note(self)
        run_forever(self)

    EventLoop.run_forever = note_and_run  # type: ignore[method-assign]

    # Every other loop, of whatever make, tells asyncio by this that it is running.
    set_running_loop = asyncio.events._set_running_loop

    def note_and_set(loop: asyncio.AbstractEventLoop | None) -> None:
        if loop is not None and not isinstance(loop, EventLoop):
            note(loop)
        set_running_loop(loop)

    for module in (asyncio, asyncio.events):
        vars(module)["_set_running_loop"] = note_and_set


def _name(kind: type) -> str:
    """How the report calls a class of loops."""
    if kind.__module__.startswith("miniloop."):
        return "miniloop.EventLoop (compiled)" if COMPILED else "miniloop.EventLoop"
    own = f"{kind.__module__}.{kind.__qualname__}"
    if issubclass(kind, EventLoop):
        return f"{own}, a miniloop.EventLoop"
    return f"{own}, which is not miniloop's"


def _show(wanted: settings.Settings) -> None:
    if os.getpid() != wanted.main or wanted.report is None:
        return  # a forked child, which has inherited the exit handler
    try:
        with open(wanted.report, encoding="utf-8") as file:
            counts = Counter(file.read().splitlines())
        os.unlink(wanted.report)
    except FileNotFoundError:
        return  # shown already
    for line, count in counts.items():
        process, _, name = line.partition(" ")
        loops = "1 loop" if count == 1 else f"{count} loops"
        say(f"process {process} ran {loops} of {name}")
    if not counts:
        say("no event loop ran")


def _show_before_the_end_by_a_signal(wanted: settings.Settings) -> None:
    """Have the notes shown also by a program that ends itself by the signal that it was sent.

    uvicorn does so, and exit handlers are not run then.
    """
    raise_signal = signal.raise_signal

    def show_and_raise(number: int) -> None:
        if signal.getsignal(number) is signal.SIG_DFL:
            _show(wanted)
        raise_signal(number)

    signal.raise_signal = show_and_raise
