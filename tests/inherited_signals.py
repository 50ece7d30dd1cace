"""Signals that whoever started us has had us ignore.

A shell that starts a job in the background has it ignore Ctrl-C, nohup a hang-up, and every child
inherits that. The tests send these signals to themselves and to others, and mean it.
"""

from __future__ import annotations

import signal

__all__ = ["heed_signals"]


def heed_signals() -> None:
    """Take Ctrl-C and hang-ups as a program does that was started from a terminal."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
