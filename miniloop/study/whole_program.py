"""Record a whole program: what `python -m miniloop --record FILE` does.

Every loop that the program makes is recorded. The file is completed when the interpreter exits,
after the last thread, or on SIGTERM, which then ends the process as it would have. With `--last`,
SIGUSR2 has the last turns written, and the program goes on.

A signal is taken only if it has no handler yet, and a handler that is set later replaces ours.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from miniloop.study.session import Session, describe_end

__all__ = ["record_program"]


def record_program(
    path: str | os.PathLike[str], *, last: int | None, program: str
) -> AbstractContextManager[Session]:
    """Record the program that runs in a `with` block of this, to the end of the process.

    Raises OSError if the file cannot be written, ValueError for a `last` below 1.
    """
    session = Session(path, last=last, program=program)
    session.when_it_fails = _say_that_it_stops
    session.record_new_loops()
    atexit.register(_end, session)
    if threading.current_thread() is threading.main_thread():
        _take(signal.SIGTERM, lambda number, frame: _end_by(session, number))
        if last is not None and hasattr(signal, "SIGUSR2"):
            _take(signal.SIGUSR2, lambda number, frame: _snapshot(session))
    return _running(session)


@contextmanager
def _running(session: Session) -> Iterator[Session]:
    try:
        yield session
    except BaseException as error:
        session.how = describe_end(error)
        raise


def _take(number: int, handler: Callable[[int, Any], object]) -> None:
    if signal.getsignal(number) is signal.SIG_DFL:
        signal.signal(number, handler)


def _end_by(session: Session, number: int) -> None:
    """Complete the file, and end as if nobody had taken the signal."""
    try:
        _end(session, "stopped")
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


# An error of the file is reported, and does not reach the program.


def _end(session: Session, how: str | None = None) -> None:
    try:
        session.end(how)
    except OSError as error:
        if error is not session.failure:  # of that was told when it happened
            _say(f"cannot write the recording: {error}")


def _snapshot(session: Session) -> None:
    try:
        session.snapshot()
    except OSError as error:
        _say(f"cannot write the last turns now: {error}")


def _say_that_it_stops(error: OSError) -> None:
    _say(f"the recording stops here, and the program goes on: {error}")


def _say(text: str) -> None:
    if sys.stderr is not None:  # as in a program without a terminal
        with suppress(OSError, ValueError):  # or that has closed it
            sys.stderr.write(f"miniloop: {text}\n")
