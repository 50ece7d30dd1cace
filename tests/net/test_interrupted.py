"""Ctrl-C while a transport is at work: it goes on, or its protocol is told of the end.

Python raises KeyboardInterrupt when a function is entered, or after a call of a C function. Here it
is raised at the n-th such point in the transports, for every n there is. What a system call or
OpenSSL had just returned is lost then, so that the connection may have to end early. But what the
protocols received has no gaps, they are told of each thing once, and nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import miniloop
from miniloop.net import tls
from miniloop.net.attach import TLSOptions, attach
from tests.net import certificates
from tests.net.connected import tcp_pair
from tests.strikes import Strike

# Where it is struck: the parts of a connection, and not what opens it.
FOLDER = Path(tls.__file__).parent
STRUCK = {
    str(FOLDER / f"{name}.py")
    for name in (
        "descriptor_transport",
        "flow_control",
        "stream",
        "tls_inbox",
        "tls_outbox",
        "tls_protocol",
        "tls_transport",
        "write_buffer",
    )
}
# What the interpreter calls when something is collected: it swallows what that raises.
COLLECTED = ("__del__", "__repr__")


def may_strike(frame: FrameType | None) -> bool:
    """Whether it runs a part of a connection, and not because something is collected."""
    found = False
    while frame is not None and frame.f_code.co_filename in STRUCK:
        if frame.f_code.co_name in COLLECTED:
            return False
        found = True
        frame = frame.f_back
    return found


REQUEST = b"question" * 40_000  # too much for one record, one read, and the kernel's buffer
ANSWER = b"answer" * 40_000


class End(asyncio.Protocol):
    """Sends, and closes once it has received what it waits for."""

    transport: asyncio.Transport

    def __init__(
        self, loop: miniloop.EventLoop, sends: bytes, awaits: bytes, *, begins: bool
    ) -> None:
        self.sends, self.awaits, self.begins = sends, awaits, begins
        self.got = bytearray()
        self.calls: list[str] = []
        self.made = loop.create_future()
        self.made.add_done_callback(self.failed)
        self.over = loop.create_future()  # lost, or never connected
        self.may_write = True
        self.unsent: list[bytes] = []
        self.in_doubt = False  # a call of ours was struck, and may have had no effect

    def connection_made(self, transport: Any) -> None:
        self.calls.append("connection_made")
        self.transport = transport
        if self.begins:
            self.say()

    def failed(self, made: asyncio.Future[None]) -> None:
        if made.exception() is not None and not self.calls:
            self.over.set_result(made.exception())

    def say(self) -> None:
        self.unsent = [self.sends[:10], self.sends[10:1000], self.sends[1000:]]
        self.go_on()

    def go_on(self) -> None:
        while self.may_write and self.unsent:
            self.call(self.transport.write, self.unsent.pop(0))
        if not self.unsent and not self.begins:
            self.call(self.transport.close)

    def call(self, method: Callable[..., None], *args: Any) -> None:
        try:
            method(*args)
        except KeyboardInterrupt:
            self.in_doubt = True
            raise

    def pause_writing(self) -> None:
        self.may_write = False

    def resume_writing(self) -> None:
        self.may_write = True
        self.go_on()

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.begins and len(self.got) == len(self.awaits):
            self.say()

    def eof_received(self) -> None:
        self.calls.append("eof_received")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("connection_lost")
        self.over.set_result(exc)


def connect(loop: miniloop.EventLoop, encrypted: bool) -> list[End]:
    """Both ends of a connection that is about to begin."""
    ends = [End(loop, REQUEST, ANSWER, begins=True), End(loop, ANSWER, REQUEST, begins=False)]
    options: list[TLSOptions | None] = [None, None]
    if encrypted:
        options = [
            TLSOptions(certificates.client_context(), False, "localhost"),
            TLSOptions(certificates.server_context(), True),
        ]
    for sock, end, chosen in zip(tcp_pair(), ends, options, strict=True):
        attach(loop, sock, end, chosen, waiter=end.made)
    return ends


def strike_at(number: int, encrypted: bool) -> tuple[Strike, list[End]]:
    """Strike a connection at that point. Gives its ends when they know that it is over."""
    strike = Strike(number, may_strike)
    loop = miniloop.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    ends = connect(loop, encrypted)
    over = asyncio.gather(*(end.over for end in ends))
    sys.setprofile(strike)
    try:
        try:
            loop.run_until_complete(over)
        finally:
            sys.setprofile(None)
    except KeyboardInterrupt:
        pass
    for end in ends:
        if end.in_doubt:
            end.transport.close()  # as a program would that cannot tell
    loop.run_until_complete(asyncio.wait([over], timeout=10))
    stuck = not over.done()
    for end in ends:
        if end.calls:
            end.transport.abort()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert not stuck, (
        f"stuck after strike {number} at {strike.where}: {[end.calls for end in ends]}"
    )
    return strike, ends


@pytest.mark.timeout(120)
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "tls"])
def test_a_connection_goes_on_or_ends_wherever_it_is_struck(encrypted: bool) -> None:
    strikes = 0
    for number in range(1, 5000):
        strike, ends = strike_at(number, encrypted)
        if strike.left > 0:
            break
        strikes += 1
        for end in ends:
            assert end.awaits.startswith(end.got), f"a gap after {number} at {strike.where}"
            assert len(set(end.calls)) == len(end.calls), f"told twice after {number}: {end.calls}"
    # What is compiled is struck only where it calls something of Python. Of the two, that is TLS.
    if encrypted or not miniloop.COMPILED:
        assert strikes > 40
