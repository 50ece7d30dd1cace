"""`--deadlock` and `--dump-signal`: what is put into each loop that the program makes."""

from __future__ import annotations

import signal
import threading

from miniloop.loop import EventLoop
from miniloop.swap import settings

__all__ = ["watch_if_wanted"]

_watching: list[settings.Settings] = []


def watch_if_wanted() -> None:
    """Have the loops of this process watched as the user asked for."""
    wanted = settings.in_force()
    if _watching or not (wanted.deadlock or wanted.dump_signal):
        return
    _watching.append(wanted)
    # Only now: a program that is not watched need not load it.
    from miniloop.study.deadlock import detect_deadlock
    from miniloop.study.on_signal import dump_on_signal
    from miniloop.study.stopwatch import keep_time

    def watch(loop: EventLoop) -> None:
        if wanted.deadlock:
            detect_deadlock(loop)
        if wanted.dump_signal:
            keep_time(loop)

    EventLoop.when_made.append(watch)
    if wanted.dump_signal and threading.current_thread() is threading.main_thread():
        dump_on_signal(signal.Signals(wanted.dump_signal))
