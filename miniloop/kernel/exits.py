"""Exits: the two exceptions that end the run of a loop and are not handled by a part of it.

SystemExit, of `sys.exit`, and KeyboardInterrupt, of Ctrl-C, pass through callbacks, protocols and
the loop, and come out of `run_forever`. Any other exception concerns one task or one connection. So
a handler of all exceptions begins with `raise_exit`, or comes after an `except EXITS: raise`:

    except BaseException as exc:
        raise_exit(exc)
        ...

Invariant: what `raise_exit` raises is the exception that it was given, never another one.

The trap: Ctrl-C may strike between any two calls, also in a part of ours that is about to tell a
protocol something. Python raises KeyboardInterrupt when a function is entered, too, so that the
protocol's method is on the stack, and has not begun. `was_told` tells the difference.

Nothing of this is looked at until there is an exception: `try` is free of cost since CPython 3.11.
"""

from __future__ import annotations

from opcode import opmap

__all__ = ["EXITS", "raise_exit", "was_told"]

EXITS = (SystemExit, KeyboardInterrupt)

_RESUME = opmap["RESUME"]

# Of asyncio's protocols: whatever a transport may call.
_METHODS = (
    "buffer_updated",
    "connection_lost",
    "connection_made",
    "data_received",
    "datagram_received",
    "eof_received",
    "error_received",
    "get_buffer",
    "pause_writing",
    "resume_writing",
)


def raise_exit(error: BaseException) -> None:
    """Raise `error`, which is being handled, again if it is an exit."""
    if isinstance(error, EXITS):
        raise error


def was_told(error: BaseException, protocol: object) -> bool:
    """Whether a method of `protocol` had begun, called by whoever handles `error`, when it struck.

    False in doubt: for a method that is not written in Python.
    """
    codes = {getattr(getattr(protocol, name, None), "__code__", None) for name in _METHODS}
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code in codes:
            # Python looks for signals at this instruction, before the first of the method's own.
            return trace.tb_lasti > 2 * code.co_code[::2].index(_RESUME)
        trace = trace.tb_next
    return False
