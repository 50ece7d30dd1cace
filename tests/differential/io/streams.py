"""Steps on a stream: transports with protocols of all kinds, over TCP, Unix sockets and TLS."""

from __future__ import annotations

import asyncio
import socket
import sys
from functools import partial
from typing import Any

from tests.differential.io.contexts import client_tls, server_tls
from tests.differential.io.peer import SocketPeer, connected_pair
from tests.differential.io.world import Oops, World, payload

__all__ = ["StreamReading", "Streams", "Written"]


class Written:
    """What a protocol does when it is told something: hooks, by name of the call."""

    def __init__(self, world: World, number: int, hooks: dict[str, tuple[str, ...]]) -> None:
        self.world, self.name = world, f"protocol {number}"
        self.hooks = {call: list(acts) for call, acts in hooks.items()}
        self.transport: Any = None

    def told(self, call: str, value: Any = None) -> None:
        self.world.note(self.name, call, value)
        self.act(call)

    def act(self, call: str) -> None:
        """Do what the program has for this call, once."""
        acts = self.hooks.get(call)
        if not acts:
            return
        act = acts.pop(0)
        if act == "raise":
            raise Oops(call)
        transport = self.transport
        if transport is None:
            return
        if act == "write":
            self.world.attempt(self.name, "writes", lambda: transport.write(b"from within"))
        else:
            self.world.attempt(self.name, act, getattr(transport, act, lambda: "has none"))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.told("connection_made")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.told("connection_lost", exc)

    def pause_writing(self) -> None:
        self.told("pause_writing")

    def resume_writing(self) -> None:
        self.told("resume_writing")

    def eof_received(self) -> bool:
        self.told("eof_received")
        return bool(self.hooks.get("keep open"))


class Plain(Written, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        self.world.note_bytes(self.name, "data", data)
        self.act("data_received")


class Buffered(Written, asyncio.BufferedProtocol):
    _buffer = bytearray(8192)

    def get_buffer(self, sizehint: int) -> Any:
        self.act("get_buffer")
        self._buffer = bytearray(8192)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.world.note_bytes(self.name, "data", self._buffer[:nbytes])
        self.act("data_received")


class Streams:
    """A connection, made in one of the ways there are, and a peer."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.protocols = 0
        self.server: Any = None
        self.transport: Any = None
        self.peer: Any = None
        self.named = 0
        self.upgrades = 0

    def protocol(self) -> Any:
        options = self.world.program.options
        kind = Buffered if options.get("buffered") else Plain
        made = kind(self.world, self.protocols, options.get("hooks", {}))
        self.protocols += 1
        return made

    async def begin(self) -> None:
        world, options = self.world, self.world.program.options
        tls, ours_serves = options.get("tls"), options["how"] in ("accepted", "server")
        extra: dict[str, Any] = {}
        theirs_tls = None
        if tls:
            extra["ssl"] = server_tls() if ours_serves else client_tls(options.get("trusts", True))
            theirs_tls = client_tls() if ours_serves else server_tls()
        if options["how"] == "server":
            await self._serve(extra, theirs_tls)
            return
        ours, theirs = connected_pair(world, options["family"])
        self._meet(theirs, theirs_tls, server_side=not ours_serves)
        if tls and not ours_serves:
            extra["server_hostname"] = "localhost"
        if ours_serves:
            connect = partial(world.loop.connect_accepted_socket, self.protocol, ours)
        elif options["family"] == "unix":
            connect = partial(world.loop.create_unix_connection, self.protocol, sock=ours)
        else:
            connect = partial(world.loop.create_connection, self.protocol, sock=ours)

        async def go() -> str:
            self.transport, _ = await connect(**extra)
            world.transports.append(self.transport)
            return "connected"

        world.spawn("connect", go())

    async def _serve(self, extra: dict[str, Any], tls: Any) -> None:
        world = self.world

        def factory() -> Any:
            protocol = self.protocol()
            made = protocol.connection_made

            def connection_made(transport: Any) -> None:
                self.transport = transport
                world.transports.append(transport)
                made(transport)

            protocol.connection_made = connection_made
            return protocol

        if world.program.options["family"] == "unix":
            path = str(world.folder / "socket")
            self.server = await world.loop.create_unix_server(factory, path, **extra)
            theirs = socket.socket(socket.AF_UNIX)
            theirs.connect(path)
        else:
            self.server = await world.loop.create_server(factory, "127.0.0.1", 0, **extra)
            theirs = socket.create_connection(self.server.sockets[0].getsockname())
        self._meet(theirs, tls, server_side=False)

    def _meet(self, sock: socket.socket, tls: Any, *, server_side: bool) -> None:
        self.peer = SocketPeer(self.world, "peer", sock, tls, server_side=server_side)
        self.world.peers.append(self.peer)

    async def end(self) -> None:
        if self.world.program.options.get("closes", True) and self.transport is not None:
            self.on("close")
            await self.world.settle()
        if self.server is not None:
            self.server.close()

    # On the transport.

    def on(self, method: str, *args: Any, **how: Any) -> None:
        if self.transport is None:
            self.world.note("steps", method, "no transport")
        elif method.startswith("write") and self.upgrading():
            return  # what is written in the clear now would be taken for TLS
        else:
            call = partial(getattr(self.transport, method), *args, **how)
            self.world.attempt("steps", method, call)

    def upgrading(self) -> bool:
        """Whether an upgrade to TLS was begun, and has not succeeded (yet)."""
        return self.upgrades > 0

    def do_write(self, size: int, kind: str) -> None:
        data: Any = payload(size)
        if kind == "bytearray":
            data = bytearray(data)
        elif kind == "view":
            data = memoryview(data)
        elif kind == "text":
            data = "no bytes"
        self.on("write", data)

    def do_writelines(self, sizes: tuple[int, ...]) -> None:
        self.on("writelines", [payload(size, number) for number, size in enumerate(sizes)])

    def do_write_eof(self) -> None:
        self.on("write_eof")

    def do_close(self) -> None:
        self.on("close")

    def do_abort(self) -> None:
        self.on("abort")

    def do_pause(self) -> None:
        self.on("pause_reading")

    def do_resume(self) -> None:
        self.on("resume_reading")

    def do_limits(self, high: int | None, low: int | None) -> None:
        self.on("set_write_buffer_limits", high, low)

    def do_ask(self, what: str) -> None:
        self.on(what)

    def do_protocol(self) -> None:
        if self.transport is not None:
            protocol = self.protocol()
            protocol.transport = self.transport
            self.on("set_protocol", protocol)

    def do_sendfile(self, size: int, offset: int, count: int | None) -> None:
        if self.transport is None or "sendfile 1" in self.world.tasks:
            return  # two at once are an error, which each loop has its own words for
        world, self.named = self.world, 1
        path = world.folder / f"file {self.named}"
        path.write_bytes(payload(size, 5))
        file = world.stack.enter_context(path.open("rb"))
        send = partial(world.loop.sendfile, self.transport, file, offset, count)
        world.spawn(f"sendfile {self.named}", send())

    def do_start_tls(self, ours_serves: bool) -> None:
        if self.transport is None or self.world.program.options.get("tls"):
            return
        world, transport = self.world, self.transport
        self.named += 1
        self.upgrades += 1

        async def go() -> str:
            upgraded = await world.loop.start_tls(
                transport,
                transport.get_protocol(),
                server_tls() if ours_serves else client_tls(),
                server_side=ours_serves,
                server_hostname=None if ours_serves else "localhost",
            )
            if upgraded is None:
                return "no transport"
            self.transport = upgraded
            self.upgrades -= 1
            world.transports.append(upgraded)
            return "upgraded"

        world.spawn(f"start_tls {self.named}", go())
        self.peer.upgrade(client_tls() if ours_serves else server_tls(), not ours_serves)

    def do_cancel(self, name: str) -> None:
        for known, task in self.world.tasks.items():
            if known.startswith(name):
                task.cancel()

    def do_server(self, what: str) -> None:
        if self.server is not None and (what != "close_clients" or sys.version_info >= (3, 13)):
            self.world.attempt("steps", what, getattr(self.server, what))

    # At the peer.

    def do_peer(self, what: str, *args: Any) -> None:
        if self.peer is not None:
            getattr(self.peer, what)(*args)


class StreamReading(Streams):
    """The same with `StreamReader` and `StreamWriter`, and tasks that read."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def begin(self) -> None:
        world, options = self.world, self.world.program.options
        ours, theirs = connected_pair(world, options["family"])
        self._meet(theirs, server_tls() if options.get("tls") else None, server_side=True)
        extra: dict[str, Any] = {"limit": options["limit"]}
        if options.get("tls"):
            extra |= {"ssl": client_tls(), "server_hostname": "localhost"}

        async def go() -> str:
            self.reader, self.writer = await asyncio.open_connection(sock=ours, **extra)
            self.transport = self.writer.transport
            world.transports.append(self.transport)
            return "connected"

        world.spawn("connect", go())

    def do_read(self, how: str, argument: Any) -> None:
        if self.transport is None:
            return
        self.named += 1
        call = getattr(self.reader, how)
        arguments = () if argument is None else (argument,)
        self.world.spawn(f"{how} {self.named}", call(*arguments))

    def do_drain(self) -> None:
        if self.transport is not None:
            self.named += 1
            self.world.spawn(f"drain {self.named}", self.writer.drain())

    def do_wait_closed(self) -> None:
        if self.transport is not None:
            self.named += 1
            self.writer.close()
            self.world.spawn(f"wait_closed {self.named}", self.writer.wait_closed())

    def do_at_eof(self) -> None:
        if self.transport is not None:
            self.world.attempt("steps", "at_eof", self.reader.at_eof)
