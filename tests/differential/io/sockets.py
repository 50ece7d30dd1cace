"""Steps with the `sock_*` methods, and with readers and writers of descriptors."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tests.differential.io.peer import SocketPeer, connected_pair
from tests.differential.io.world import World, payload

__all__ = ["Sockets"]


class Sockets:
    """A bare socket, of which one task at a time reads and one writes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.named = 0
        self.busy: dict[str, Any] = {}  # who reads and who writes
        self.watched: set[str] = set()

    async def begin(self) -> None:
        world = self.world
        self.sock, theirs = connected_pair(world, world.program.options["family"])
        self.sock.setblocking(False)
        world.stack.enter_context(self.sock)
        self.peer = SocketPeer(world, "peer", theirs)
        world.peers.append(self.peer)
        self.listener = world.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            self.nobody = closed.getsockname()

    async def end(self) -> None:
        for name in list(self.watched):
            self.do_unwatch(name)

    def _start(self, name: str, side: str, coro: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Two at once on one side are a known difference, and an error of the program."""
        if side in self.watched or (side in self.busy and not self.busy[side].done()):
            return
        self.named += 1
        label = f"{name} {self.named}"
        self.world.spawn(label, coro())
        self.busy[side] = self.world.tasks[label]

    def do_recv(self, size: int) -> None:
        self._start("recv", "read", partial(self.world.loop.sock_recv, self.sock, size))

    def do_recv_into(self, size: int) -> None:
        buffer = bytearray(size)

        async def go() -> Any:
            count = await self.world.loop.sock_recv_into(self.sock, buffer)
            return bytes(buffer[:count])

        self._start("recv_into", "read", go)

    def do_sendall(self, size: int, kind: str) -> None:
        data: Any = payload(size)
        data = {"bytearray": bytearray, "view": memoryview}.get(kind, bytes)(data)
        self._start("sendall", "write", partial(self.world.loop.sock_sendall, self.sock, data))

    def do_sendfile(self, size: int, offset: int, count: int | None) -> None:
        world = self.world
        path = world.folder / f"file {self.named}"
        path.write_bytes(payload(size, 5))
        file = world.stack.enter_context(path.open("rb"))
        send = partial(world.loop.sock_sendfile, self.sock, file, offset, count)
        self._start("sendfile", "write", send)

    def do_connect(self, where: str) -> None:
        world = self.world
        sock = world.stack.enter_context(socket.socket())
        sock.setblocking(False)
        addresses = {
            "listener": self.address,
            "nobody": self.nobody,
            "nonsense": ("127.0.0.1", "x"),
        }
        address = addresses[where]
        self._start("connect", "connect", partial(world.loop.sock_connect, sock, address))

    def do_accept(self) -> None:
        async def go() -> Any:
            sock, _ = await self.world.loop.sock_accept(self.listener)
            self.world.stack.enter_context(sock)
            return sock.getblocking()

        self._start("accept", "accept", go)

    def do_dial(self) -> None:
        sock = self.world.stack.enter_context(socket.socket())
        sock.setblocking(False)
        sock.connect_ex(self.address)

    def do_watch(self, side: str) -> None:
        if side in self.watched or (side in self.busy and not self.busy[side].done()):
            return
        self.watched.add(side)

        def ready() -> None:
            self.world.note("watch", side)
            self.do_unwatch(side)

        add = self.world.loop.add_reader if side == "read" else self.world.loop.add_writer
        self.world.attempt("steps", f"watch {side}", lambda: add(self.sock, ready))

    def do_unwatch(self, side: str) -> None:
        if side not in self.watched:
            return  # asyncio would take a `sock_recv` that waits for a reader
        self.watched.discard(side)
        loop = self.world.loop
        remove = loop.remove_reader if side == "read" else loop.remove_writer
        self.world.attempt("steps", f"unwatch {side}", lambda: remove(self.sock))

    def do_cancel(self, name: str) -> None:
        for known, task in self.world.tasks.items():
            if known.startswith(name):
                task.cancel()

    def do_shutdown(self, how: int) -> None:
        self.world.attempt("steps", "shutdown", lambda: self.sock.shutdown(how))

    def do_peer(self, what: str, *args: Any) -> None:
        getattr(self.peer, what)(*args)
