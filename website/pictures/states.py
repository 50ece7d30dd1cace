"""The machines that are drawn, each taken from the code, or seen while it runs.

* A turn: from the docstring of `kernel/scheduler.py`, which numbers its phases.
* A TLS connection: from the table in `net/tls_states.py`, by which it runs.
* A task: from a recording of a program in which tasks do all that tasks do.
* A transport: from what protocols are told, in an order that is seen here.
"""

from __future__ import annotations

import asyncio
import re
import socket
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import miniloop
from miniloop.kernel import scheduler
from miniloop.net.tls_states import TRANSITIONS
from miniloop.study import read, recording
from website.pictures.machines import Machine, Way

__all__ = ["task", "tls", "transport", "turn"]

_PHASE = re.compile(r"^\d\. \*\*(\w+)\*\*:? (.+?)[;.]$", re.M | re.S)


def turn() -> Machine:
    """The four phases of a turn."""
    phases = [name for name, _ in _PHASE.findall(scheduler.__doc__ or "")]
    if len(phases) != 4:
        raise ValueError(f"the docstring of the scheduler has these phases: {phases}")
    ways = [Way(one, "", other) for one, other in pairwise(phases)]
    again = Way(phases[-1], "the next turn; what was added meanwhile runs in it", phases[0])
    notes = ["for the kernel", "queue readers, writers", "queue what is due", "what was ready"]
    return Machine("The four phases of a turn", phases, [*ways, again], notes)


def tls() -> Machine:
    """The states of a TLS connection."""
    ways = [
        Way(state.value, event.name.lower().replace("_", " "), end.value)
        for state, events in TRANSITIONS.items()
        for event, end in events.items()
    ]
    title = "The states of a TLS connection, and what leads from one to the next"
    return Machine(title, [state.value for state in TRANSITIONS], ways)


# ---- a task ----------------------------------------------------------------------------------
async def _lives() -> None:
    """Tasks that return, raise, give way, wait, and are cancelled, early and while they wait."""

    async def fail() -> None:
        raise LookupError

    lives = [asyncio.sleep(0), asyncio.sleep(0.001), fail()]
    await asyncio.gather(*map(asyncio.create_task, lives), return_exceptions=True)
    waiting = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    waiting.cancel()
    unborn = asyncio.create_task(asyncio.sleep(3600))
    unborn.cancel()
    await asyncio.gather(waiting, unborn, return_exceptions=True)


def task() -> Machine:
    """The life of a task, as recorded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lives"
        with recording(path):
            miniloop.run(_lives())
        ways = _ways_of_tasks(read(path).model())
    states = ["ready", "running", "waiting", "done"]
    notes = ["in the queue", "up to its next await", "at a future", "a future itself"]
    return Machine("The life of a task", states, ways, notes)


def _ways_of_tasks(model: dict[str, Any]) -> list[Way]:
    """Each way that some task has gone, in the order in which one of them was the first to."""
    events, things, kinds = model["events"], model["things"], model["kinds"]
    number = {kind: index for index, kind in enumerate(kinds)}
    cancelled: set[int] = set()  # tasks that somebody cancelled while they waited
    state: dict[int, str] = {}
    ways: dict[Way, None] = {}

    def go(thing: int, why: str, end: str) -> None:
        if thing in state:
            ways[Way(state[thing], why, end)] = None
        state[thing] = end

    for index, kind in enumerate(events["kind"]):
        thing = events["thing"][index]
        if thing < 0 or things["kind"][thing] != "task":
            continue
        if kind == number["queued"]:
            if state.get(thing) == "waiting":
                go(thing, "cancelled" if thing in cancelled else "that is done", "ready")
            else:
                go(thing, "gives way", "ready")
        elif kind == number["begun"]:
            go(thing, "its turn", "running")
        elif kind == number["cancel"] and state.get(thing) == "waiting":
            cancelled.add(thing)
        elif kind == number["suspended"]:
            following = index + 1
            gives_way = (
                following < len(events["kind"])
                and events["kind"][following] == number["queued"]
                and events["thing"][following] == thing
                and events["cause"][following] == events["cause"][index]
            )
            if not gives_way:
                go(thing, "awaits", "waiting")
        elif kind == number["finished"]:
            go(thing, ("returns", "raises", "is cancelled")[events["extra"][index]], "done")
    return list(ways)


# ---- a transport -----------------------------------------------------------------------------
class _Told(asyncio.Protocol):
    """Notes what it is told, and in which state of the connection."""

    def __init__(self, ways: dict[Way, None]) -> None:
        self.ways = ways
        self.state = "new"
        self.lost = asyncio.get_running_loop().create_future()
        self.resumed = asyncio.get_running_loop().create_future()
        self.seen = asyncio.get_running_loop().create_future()

    def _go(self, why: str, end: str) -> None:
        self.ways[Way(self.state, why, end)] = None
        self.state = end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._go("connection_made", "open")

    def data_received(self, data: bytes) -> None:
        self._go("data_received", self.state)
        if not self.seen.done():
            self.seen.set_result(None)

    def pause_writing(self) -> None:
        self._go("pause_writing", "full")

    def resume_writing(self) -> None:
        self._go("resume_writing", "open")
        self.resumed.set_result(None)

    def eof_received(self) -> bool:
        self._go("eof_received", "half closed")
        if not self.seen.done():
            self.seen.set_result(None)
        return True  # we may still write

    def connection_lost(self, error: Exception | None) -> None:
        self._go("connection_lost", "closed")
        self.lost.set_result(None)


def transport() -> Machine:
    """The life of a transport, as its protocol is told of it."""
    ways: dict[Way, None] = {}

    async def connections() -> None:
        await _connection(ways, _is_sent_data)
        await _connection(ways, _is_slow_to_read)
        await _connection(ways, _ends_first)
        await _connection(ways, _goes_while_full)

    miniloop.run(connections())
    states = ["new", "open", "full", "half closed", "closed"]
    notes = ["", "", "64 KiB unsent", "peer sends no more", ""]
    return Machine("The life of a transport, in what its protocol is told", states, [*ways], notes)


async def _connection(ways: dict[Way, None], story: Callable[..., Any]) -> None:
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    with far:
        far.setblocking(False)
        made, told = await loop.connect_accepted_socket(lambda: _Told(ways), near)
        await story(loop, made, told, far)
        made.abort()
        await told.lost


async def _is_sent_data(loop: Any, made: Any, told: _Told, far: socket.socket) -> None:
    await loop.sock_sendall(far, b"data")
    await told.seen


async def _is_slow_to_read(loop: Any, made: Any, told: _Told, far: socket.socket) -> None:
    made.write(bytes(4 * 1024 * 1024))
    while not told.resumed.done():
        await loop.sock_recv(far, 1024 * 1024)


async def _ends_first(loop: Any, made: Any, told: _Told, far: socket.socket) -> None:
    far.shutdown(socket.SHUT_WR)
    await told.seen


async def _goes_while_full(loop: Any, made: Any, told: _Told, far: socket.socket) -> None:
    made.write(bytes(4 * 1024 * 1024))
