"""The echo server in C, called from here: the limit for any loop on this kernel."""

from __future__ import annotations

import ctypes
import os
import socket

from benchmarks import native

__all__ = ["serve"]

KINDS = {"tcp": 0, "unix": 0, "visits": 1, "udp": 2}


def serve(listener: socket.socket, stop: socket.socket, kind: str) -> int:
    """Echo until `stop` is readable; see `benchmarks.limits.Server`."""
    listener.setblocking(False)
    function = native.library("echo_server").echo_server
    function.restype = ctypes.c_long
    done: int = function(listener.fileno(), stop.fileno(), KINDS[kind])
    if done < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"the echo server in C: {os.strerror(error)}")
    return done
