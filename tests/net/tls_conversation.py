"""A client and a server over TLS, joined in memory, for tests of the state machine."""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import Any

from miniloop.net.tls import TLSProtocol
from miniloop.net.tls_states import FLAGS, State
from tests.net import certificates
from tests.net.in_memory_wire import wire
from tests.net.recording_protocol import Recorder


class Conversation:
    """A client and a server, each with an application, on the two ends of a wire."""

    def __init__(
        self, client: Recorder, server: Recorder, high: int = 64 * 1024, **options: Any
    ) -> None:
        loop = asyncio.get_running_loop()
        self.wires = wire(high)
        self.applications = (client, server)
        self.tls = (
            TLSProtocol(
                loop,
                client,
                certificates.client_context(),
                None,
                server_hostname="localhost",
                **options,
            ),
            TLSProtocol(loop, server, certificates.server_context(), None, server_side=True),
        )

    async def begin(self) -> None:
        for end, tls in zip(self.wires, self.tls, strict=True):
            end.attach(tls)
        while not all(application.calls for application in self.applications):
            await self.carry_all()
        await self.carry_all()

    async def carry_all(self) -> None:
        """Until nobody has anything to say."""
        progress = True
        while progress:
            await asyncio.sleep(0)
            self.check()
            progress = False
            for end in self.wires:
                progress |= bool(end.carry(1 << 20))
                self.check()

    def check(self) -> None:
        for tls in self.tls:
            check_flags(tls)

    async def end(self) -> None:
        for _ in range(10):
            await self.carry_all()
        for application in self.applications:
            assert application.lost.done(), f"stuck: {self.tls}"


def check_flags(tls: TLSProtocol) -> None:
    """That nothing is true of a connection which cannot be, in its state."""
    for name, states in FLAGS.items():
        try:
            flag = attrgetter(name)(tls)
        except AttributeError:
            assert tls.transport is None, name  # the connection is lost
            continue
        assert isinstance(flag, bool)
        assert not flag or tls._state in states, (name, tls)
    assert tls.agreed or tls._state not in set(FLAGS["agreed"]) - {State.CLOSED}
