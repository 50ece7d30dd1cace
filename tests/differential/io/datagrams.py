"""Steps on an endpoint for datagrams, UDP or Unix, with a peer that is a bare socket."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

from tests.differential.io.streams import Written
from tests.differential.io.world import World, in_words, payload

__all__ = ["Datagrams"]


class Endpoint(Written, asyncio.DatagramProtocol):
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.told("datagram_received", data)

    def error_received(self, exc: Exception) -> None:
        self.told("error_received", exc)


class DatagramPeer:
    """A socket that reads all that comes, and sends when it is told to."""

    name = "peer"

    def __init__(self, world: World, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.world, self.sock = world, sock
        self.sender: Any = None
        self.got: list[Any] = []
        self.closed = False

    def pump(self) -> bool:
        busy = False
        while not self.closed:
            try:
                data, self.sender = self.sock.recvfrom(65536)
            except BlockingIOError:
                break
            except OSError as exc:
                self.world.note(self.name, "is told", exc)
                break
            self.got.append(in_words(data))
            busy = True
        return busy

    def summary(self) -> Any:
        return self.got

    def close(self) -> None:
        self.closed = True
        self.sock.close()


class Datagrams:
    """An endpoint and its peer."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.transport: Any = None

    async def begin(self) -> None:
        world, options = self.world, self.world.program.options
        if options["family"] == "unix":
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.ours, self.theirs = None, None
            extra: dict[str, Any] = {"sock": ours}
        else:
            theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            theirs.bind(("127.0.0.1", 0))
            self.theirs = theirs.getsockname()
            extra = {"local_addr": ("127.0.0.1", 0)}
            if options["connected"]:
                extra["remote_addr"] = self.theirs
        self.peer = DatagramPeer(world, theirs)
        world.peers.append(self.peer)
        protocol = Endpoint(world, 0, options.get("hooks", {}))
        self.transport, _ = await world.loop.create_datagram_endpoint(lambda: protocol, **extra)
        self.ours = self.transport.get_extra_info("sockname")
        world.transports.append(self.transport)

    async def end(self) -> None:
        self.world.attempt("steps", "close", self.transport.close)

    def do_sendto(self, size: int, kind: str, to: str) -> None:
        data: Any = payload(size)
        if kind == "bytearray":
            data = bytearray(data)
        elif kind == "text":
            data = "no bytes"
        if not size and sys.version_info < (3, 13):
            return  # dropped, before or after the address was looked at
        address = {"peer": self.theirs, "nobody": ("127.0.0.1", 9), "none": None}[to]
        options = self.world.program.options
        if address is None and not options.get("connected") and options["family"] != "unix":
            address = self.theirs
        self.world.attempt("steps", "sendto", lambda: self.transport.sendto(data, address))

    def do_ask(self, what: str) -> None:
        self.world.attempt("steps", what, getattr(self.transport, what))

    do_on = do_ask

    def do_peer_sends(self, size: int) -> None:
        if self.peer.closed:
            return
        try:
            if self.ours and self.world.program.options["family"] != "unix":
                self.peer.sock.sendto(payload(size, 9), self.ours)
            else:
                self.peer.sock.send(payload(size, 9))
        except OSError as exc:
            self.world.note("peer", "cannot send", exc)

    def do_peer_closes(self) -> None:
        self.peer.close()
