"""The limits: echo servers with no framework, as fast as we can write them for this kernel.

A loop cannot beat them: it does what they do and calls the user's code besides. They stand in the
table and in the plots so that a ratio of 1.3 can be read for what it is, where the limit is 1.4.

- ``epoll-python``: ``select.epoll`` and sockets, in one function, in Python (``bare.py``);
- ``epoll-c``: the same in C (``native/echo_server.c``), where there is a compiler.

They run on the echo rows over TCP, Unix sockets and UDP, and on ``sockets/accept``.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.far_end import Ordered, echo_details
from benchmarks.job import Job

__all__ = ["Server", "measure"]

BACKLOG = 1024

# Serves until `stop` is readable; returns the bytes that it echoed (for "visits", how many came).
Server = Callable[[socket.socket, socket.socket, str], int]


def measure(serve: Server, kind: str, job: Job) -> int:
    """Run one sample on a bare server; returns the operations done.

    `kind` is what the row's ``limit`` says: "tcp", "unix", "udp" or "visits".
    """
    failure: list[BaseException] = []

    def orders() -> None:
        try:
            if kind == "visits":
                ordered = Ordered(job, "visitor", {"address": address, "times": job.n})
            else:
                ordered = Ordered(job, "echo_client", echo_details(job, kind, address))
            try:
                ordered.carry_out()
            finally:
                ordered.close()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failure.append(error)
        finally:
            stopper.send(b"\0")

    stop, stopper = socket.socketpair()
    with stop, stopper, _listening(kind) as (listener, address):
        thread = threading.Thread(target=orders)
        thread.start()
        done = serve(listener, stop, kind)
        thread.join()
    if failure:
        raise failure[0]
    return done if kind == "visits" else done // job.size


@contextmanager
def _listening(kind: str) -> Iterator[tuple[socket.socket, Any]]:
    if kind == "unix":
        with (
            tempfile.TemporaryDirectory() as directory,
            socket.socket(socket.AF_UNIX) as listener,
        ):
            path = str(Path(directory) / "echo")
            listener.bind(path)
            listener.listen(BACKLOG)
            yield listener, path
    elif kind == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
            sock.bind(("127.0.0.1", 0))
            yield sock, sock.getsockname()
    else:
        with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
            yield listener, listener.getsockname()
