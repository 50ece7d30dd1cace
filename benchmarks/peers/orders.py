"""What the far end can be told to do.

An order is a function that opens what it needs onto the given stack, and returns the answer "ready"
together with the work itself, which is timed by the caller when the benchmark says "go".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.peers import exchange
from benchmarks.peers.control import Line

__all__ = ["ORDERS", "Order", "Work"]

Work = Callable[[], dict[str, Any]]
Order = Callable[..., tuple[dict[str, Any], Work]]


def echo_client(
    stack: ExitStack,
    _line: Line,
    *,
    family: str,
    address: Any,
    size: int,
    connections: int,
    messages: int,
) -> tuple[dict[str, Any], Work]:
    """Open `connections` and exchange `messages` of `size` bytes over them: one at a time on each.

    `messages` is the total and a multiple of `connections`.
    """
    sockets = [stack.enter_context(exchange.connect(family, address)) for _ in range(connections)]
    request = bytes(range(256)) * (size // 256 + 1)

    def work() -> dict[str, Any]:
        exchange.ping_pong(sockets, request[:size], size, messages // connections)
        return {"messages": messages}

    return {"ready": True}, work


ORDERS: dict[str, Order] = {
    "echo_client": echo_client,
}
