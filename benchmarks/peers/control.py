"""Both ends of the control connection: orders and reports as lines of JSON over loopback TCP."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["FarEnd", "FarEndError", "Line", "started"]

# A far end that says nothing for so long will not say anything any more.
PATIENCE = 120.0  # seconds


class FarEndError(Exception):
    """The far end could not do what it was asked; the message has its reason."""


class Line:
    """A connection that carries JSON objects, one a line."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._reader = sock.makefile("r", encoding="utf-8")

    def send(self, message: dict[str, Any]) -> None:
        """Send one object."""
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """The next object, or None where the other side has closed."""
        line = self._reader.readline()
        if not line:
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """Close the connection; a thread that is waiting for its next line is told of the end."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # the other side was first
                raise
        self._reader.close()
        self.socket.close()


class FarEnd:
    """The near side of the control connection: gives the orders."""

    def __init__(self, address: tuple[str, int]) -> None:
        sock = socket.create_connection(address, timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._line = Line(sock)

    def prepare(self, order: str, processor: int | None = None, **details: Any) -> dict[str, Any]:
        """Say what to do, and on which processor, and wait until the far end is ready. Blocks."""
        return self._ask({"order": order, "processor": processor, **details})

    def go(self) -> dict[str, Any]:
        """Let it be done, and return the report. Blocks."""
        return self._ask({"order": "go"})

    def close(self) -> None:
        """Let the far end close what it opened for this connection."""
        self._line.close()

    def __enter__(self) -> FarEnd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self._line.send(message)
        answer = self._line.receive()
        if answer is None:
            raise FarEndError(f"the far end hung up on {message}")
        if "error" in answer:
            raise FarEndError(f"the far end failed: {answer['error']}")
        return answer


@contextmanager
def started() -> Iterator[tuple[str, int]]:
    """Run a far end for the length of the ``with``, and yield the address of its control socket."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.peers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = process.stdout.readline()
        if not port:
            raise FarEndError("the far end ended before it was ready")
        yield "127.0.0.1", int(port)
    finally:
        process.stdin.close()  # it ends when its standard input does
        process.stdout.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
