"""`add_reader`, `add_writer` and their opposites: the user's way to watch a descriptor.

Transports watch theirs by `watch_reader` and `watch_writer` of the loop. The functions here add two
things: a user may give a file or socket instead of its number, and a descriptor that a transport or
a server owns is refused (see `ownership`).

The trap: programs close a file and stop watching it after that, when it has no number any more. So
the watch remembers the file.

Source: the CPython documentation, "Watching file descriptors".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVarTuple

from miniloop.kernel.contract import CompleteLoop
from miniloop.net.ownership import refuse_owned

__all__ = ["add_reader", "add_writer", "remove_reader", "remove_writer"]

Ts = TypeVarTuple("Ts")


def add_reader(loop: CompleteLoop, fd: Any, callback: Callable[[*Ts], object], *args: *Ts) -> None:
    """Call `callback(*args)` on every turn on which the file is readable."""
    number = _fileno(loop, fd)
    loop.watch_reader(number, callback, *args)
    _remember(loop, number, fd)


def remove_reader(loop: CompleteLoop, fd: Any) -> bool:
    """Stop doing so. False if it was not being done."""
    return loop.unwatch_reader(_fileno_once(loop, fd))


def add_writer(loop: CompleteLoop, fd: Any, callback: Callable[[*Ts], object], *args: *Ts) -> None:
    """Call `callback(*args)` on every turn on which the file is writable."""
    number = _fileno(loop, fd)
    loop.watch_writer(number, callback, *args)
    _remember(loop, number, fd)


def remove_writer(loop: CompleteLoop, fd: Any) -> bool:
    """Stop doing so. False if it was not being done."""
    return loop.unwatch_writer(_fileno_once(loop, fd))


def _fileno(loop: CompleteLoop, file: Any) -> int:
    """The descriptor of a file, or the number itself.

    Raises ValueError if there is none, RuntimeError if a transport or a server owns it.
    """
    if isinstance(file, int):
        fd = file
    else:
        try:
            fd = int(file.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {file!r}") from None
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    refuse_owned(loop, fd, file)
    return fd


def _fileno_once(loop: CompleteLoop, file: Any) -> int:
    """The descriptor that a file has, or had when it was watched."""
    try:
        return _fileno(loop, file)
    except ValueError:
        for watch in list(loop.poller.watches.values()):
            # None is what the watches of bare numbers have there.
            if watch.file is file and file is not None:
                return watch.fd
        raise


def _remember(loop: CompleteLoop, fd: int, file: Any) -> None:
    if not isinstance(file, int):
        loop.poller.watches[fd].file = file
