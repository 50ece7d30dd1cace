"""What a file descriptor is, in words, and what it is ready for."""

from __future__ import annotations

import os
import socket
from typing import Any

from miniloop.kernel.poller import READ, WRITE
from miniloop.loop import EventLoop

__all__ = ["describe_descriptor", "ready_for"]

# Our own, as a program may have put something else into the module.
_Socket = socket.socket


def describe_descriptor(fd: int, loop: EventLoop) -> str:
    """Such as `socket 7 ('127.0.0.1', 8080) to ('127.0.0.1', 51234)`; asks the system only."""
    if fd == loop.wakeup.fileno():
        return f"wake-up socket {fd} of the loop"
    try:
        twin = _Socket(fileno=fd)
    except (OSError, ValueError):
        return _describe_file(fd)
    try:
        here, there = _address(twin.getsockname), _address(twin.getpeername)
    finally:
        twin.detach()
    text = f"socket {fd}"
    if here:
        text += f" {here}"
    return f"{text} to {there}" if there else text


def _address(ask: Any) -> str:
    try:
        address = ask()
    except OSError:
        return ""
    if isinstance(address, tuple):
        return repr(address[:2])
    return repr(address) if address else ""


def _describe_file(fd: int) -> str:
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return f"descriptor {fd}"
    if target.startswith("pipe:"):
        return f"pipe {fd}"
    return f"file {fd} {target}" if target.startswith("/") else f"descriptor {fd} ({target})"


def ready_for(fd: int, bits: int, loop: EventLoop) -> int:
    """1 for reading, 2 for writing. A hang-up or an error concerns whoever watches."""
    ready = (1 if bits & READ else 0) | (2 if bits & WRITE else 0)
    watch = loop.poller.watches.get(fd)
    if watch is not None and bits & ~(READ | WRITE):
        ready |= 1 if watch.reader is not None or watch.read_waiters else 0
        ready |= 2 if watch.writer is not None or watch.write_waiters else 0
    return ready or 3
