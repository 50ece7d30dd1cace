"""A report on a signal: `kill -USR1 PID`, and a running program says who waits for whom.

The handler is one of the `signal` module. Python runs it in the main thread between two
instructions, also while the loop sleeps in the kernel, and while a step holds it up: in a loop of
Python code, in `time.sleep`, or in a system call that a signal interrupts. Only while a step is
inside of one long call of C code, such as a regular expression or a sort, the report has to wait
for its end. (`python -X faulthandler`, with `faulthandler.register`, shows the line even then.)

The report is written to the descriptor of standard error itself: the handler may have interrupted a
`print`, and the buffer of a stream must not be entered twice.

The trap: a program that gives the same signal a handler of its own takes ours away.
"""

from __future__ import annotations

import os
import signal
import traceback
from typing import Any

from miniloop.kernel.registry import loops
from miniloop.study.waits import waits_of

__all__ = ["dump_on_signal"]


def dump_on_signal(number: int) -> None:
    """Have the process write who waits for whom to standard error whenever it gets the signal.

    Only in the main thread. Raises OSError for a signal that cannot be caught.
    """
    signal.signal(number, _dump)
    signal.siginterrupt(number, False)  # restart the system calls of other code that it interrupts


def _dump(number: int, frame: object) -> None:
    try:
        text = _report()
    except Exception:
        # An exception would be raised in whatever code runs now, which is not at fault.
        text = f"process {os.getpid()}: no report could be made\n{traceback.format_exc()}"
    os.write(2, text.encode("utf-8", "backslashreplace"))


def _report() -> str:
    alive: list[Any] = [loop for loop in loops() if not loop.is_closed()]
    if not alive:
        return f"process {os.getpid()}: no loop of miniloop\n"
    return "".join(f"process {os.getpid()}: {waits_of(loop)}\n" for loop in alive)
