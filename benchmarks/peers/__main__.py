"""``python -m benchmarks.peers``: the far end as a process.

It prints the port of its control socket, takes orders on each connection to it, and ends when its
standard input is closed, so that it cannot outlive the run that started it.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import ExitStack

from benchmarks import processors
from benchmarks.machine import open_many_files
from benchmarks.peers.control import Line
from benchmarks.peers.orders import ORDERS, close_all


def serve(line: Line) -> None:
    """Carry out the orders of one control connection until it is closed."""
    while (order := line.receive()) is not None:
        name = order.pop("order")
        if (processor := order.pop("processor")) is not None:
            processors.stay_on(processor)
        if name not in ORDERS:
            line.send({"error": f"no order {name!r}; there are {', '.join(ORDERS)}"})
            continue
        with ExitStack() as stack:
            try:
                answer, work = ORDERS[name](stack, **order)
                line.send(answer)
                if (go := line.receive()) is None:
                    return
                if go["order"] != "go":
                    raise ValueError(f"{name} was prepared, so go was expected, not {go}")
                cpu, start = time.process_time(), time.perf_counter()
                report = work()
                seconds = time.perf_counter() - start
                cpu = time.process_time() - cpu
            except (OSError, ValueError, TypeError) as error:
                line.send({"error": f"{name}: {type(error).__name__}: {error}"})
            else:
                line.send({"seconds": seconds, "cpu": cpu, **report})


def main() -> None:
    """Take control connections for as long as standard input is open.

    Each has a thread of its own: one that is stuck with a server which has died must not keep the
    next benchmark waiting.
    """
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    open_many_files()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve_safely, args=[Line(connection)], daemon=True).start()


def _serve_safely(line: Line) -> None:
    try:
        serve(line)
    except ConnectionError as error:
        # A worker was ended in the middle of a benchmark. The next one is unharmed.
        print(f"far end: control connection lost: {error}", file=sys.stderr)
    finally:
        line.close()


def _end_with_standard_input() -> None:
    sys.stdin.read()
    close_all()
    os._exit(0)  # the main thread may be blocked in any system call


if __name__ == "__main__":
    main()
