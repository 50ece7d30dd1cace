"""Exercise 5: a server of many clients in one thread, by epoll alone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from types import ModuleType

from miniloop.study.check.exercise import Exercise, Wrong, equal, function

__all__ = ["EXERCISE"]

BEGIN = '''\
"""Exercise 5: a server of many clients in one thread, by epoll alone.

Write `echo`. `listener` is a socket that listens already. Accept every client, and send each of
them back what it sends, until it has finished; then close that connection. End, and close all of
them, as soon as the socket `stop` turns readable. One thread, no asyncio: `select.epoll` and
non-blocking sockets. What has to wait (a client that does not read, say) holds nobody else up.

    python3 -m miniloop.study check 5
"""

import select


def echo(listener, stop):
    ...
'''

PATIENCE = 5.0  # seconds


class _Server:
    """The solution at work in a thread."""

    def __init__(self, solution: ModuleType) -> None:
        self.echo = function(solution, "echo")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.stop, self.other = socket.socketpair()
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.echo(self.listener, self.stop)
        except BaseException as error:
            self.failure = error

    def connect(self) -> socket.socket:
        return socket.create_connection(self.listener.getsockname(), PATIENCE)

    def check_alive(self) -> None:
        if self.failure is not None:
            raise self.failure
        if not self.thread.is_alive():
            raise Wrong("echo has returned, though nobody asked it to stop")

    def end(self) -> None:
        self.other.send(b"stop")
        self.thread.join(PATIENCE)
        if self.failure is not None:
            raise self.failure
        if self.thread.is_alive():
            raise Wrong(f"`stop` is readable, and echo has not returned within {PATIENCE:.0f} s")


@contextmanager
def _serving(solution: ModuleType) -> Iterator[_Server]:
    server = _Server(solution)
    server.thread.start()
    try:
        yield server
        server.check_alive()
    finally:
        server.other.send(b"stop")
        server.thread.join(0.5)
        if not server.thread.is_alive():
            for sock in (server.listener, server.stop, server.other):
                sock.close()


def _receive(server: _Server, sock: socket.socket, size: int, who: str) -> bytes:
    """So many bytes, or as many as come before the end."""
    data = bytearray()
    until = time.monotonic() + PATIENCE
    sock.settimeout(0.05)  # seconds; then look whether there is still a server
    while len(data) < size:
        try:
            part = sock.recv(size - len(data))
        except TimeoutError:
            server.check_alive()
            if time.monotonic() < until:
                continue
            raise Wrong(f"{who} got {len(data)} of {size} bytes back, and then nothing") from None
        except ConnectionError as error:
            server.check_alive()
            raise Wrong(f"{who} got {len(data)} of {size} bytes back, and then {error}") from None
        if not part:
            break
        data += part
        until = time.monotonic() + PATIENCE
    return bytes(data)


def _one(solution: ModuleType) -> None:
    """A client gets back what it sends, time after time."""
    with _serving(solution) as server, closing(server.connect()) as client:
        for word in (b"hello", b"again"):
            client.sendall(word)
            equal("what came back", _receive(server, client, len(word), "a client"), word)


def _silent(solution: ModuleType) -> None:
    """A client that says nothing holds up no other."""
    with _serving(solution) as server, ExitStack() as clients:
        clients.enter_context(closing(server.connect()))  # the silent one
        for number in range(3):
            client = clients.enter_context(closing(server.connect()))
            client.sendall(b"x%d" % number)
            got = _receive(server, client, 2, "a client behind a silent one")
            equal("what came back", got, b"x%d" % number)


def _end(solution: ModuleType) -> None:
    """A client that has finished gets the end of the connection, and the server goes on."""
    with _serving(solution) as server:
        for _ in range(2):
            with closing(server.connect()) as client:
                client.sendall(b"bye")
                client.shutdown(socket.SHUT_WR)
                equal("what came back", _receive(server, client, 3, "a client"), b"bye")
                if _receive(server, client, 1, "a client that has finished"):
                    raise Wrong("more came back than was sent")


def _idle(solution: ModuleType) -> None:
    """While nothing happens it sleeps."""
    with _serving(solution) as server, closing(server.connect()) as client:
        client.sendall(b"x")
        _receive(server, client, 1, "a client")
        with closing(server.connect()) as gone:
            gone.sendall(b"x")
            _receive(server, gone, 1, "a client")
        ident = server.thread.ident
        assert ident is not None
        clock = time.pthread_getcpuclockid(ident)
        before = time.clock_gettime(clock)
        time.sleep(0.5)
        server.check_alive()
        used = time.clock_gettime(clock) - before
        if used > 0.02:  # a server that sleeps uses none; one that spins uses all it can get
            raise Wrong(
                f"in half a second in which nothing happened it used {used:.2f} s of the processor:"
                " does the poll wait, and is every client that has gone unregistered and closed?"
            )


def _slow_reader(solution: ModuleType) -> None:
    """A client that sends much and reads late loses nothing, and holds up no other."""
    with _serving(solution) as server, ExitStack() as clients:
        slow, quick = (clients.enter_context(closing(server.connect())) for _ in range(2))
        data = bytes(range(256)) * 32 * 1024  # 8 MiB: more than the kernel holds
        sent = bytearray()
        sender = threading.Thread(target=_send, args=(slow, data, sent), daemon=True)
        sender.start()
        # Until nothing moves any more: the buffers of both directions are full then.
        count = -1
        while sender.is_alive() and len(sent) > count:
            count = len(sent)
            sender.join(0.5)
        quick.sendall(b"quick")
        got = _receive(server, quick, 5, "another client, meanwhile,")
        equal("what came back", got, b"quick")
        got = _receive(server, slow, len(data), "the client that reads late")
        if got != data:
            raise Wrong(
                "what the client got is not what it sent: `send` says how many bytes it took, and "
                "the others are to be sent when the socket turns writable"
            )


def _send(sock: socket.socket, data: bytes, sent: bytearray) -> None:
    """Send `data`, and note in `sent` what has been."""
    try:
        while len(sent) < len(data):
            try:
                count = sock.send(data[len(sent) : len(sent) + 64 * 1024])
            except TimeoutError:
                continue  # which is that of the reader of the same socket
            sent += data[len(sent) : len(sent) + count]
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # whoever reads will find that bytes are missing


def _stops(solution: ModuleType) -> None:
    """It ends when `stop` turns readable, and closes the connections that are left."""
    with ExitStack() as opened:
        server = _Server(solution)
        for sock in (server.listener, server.stop, server.other):
            opened.enter_context(closing(sock))
        server.thread.start()
        client = opened.enter_context(closing(server.connect()))
        client.sendall(b"x")
        _receive(server, client, 1, "a client")
        server.end()
        client.settimeout(PATIENCE)
        try:
            rest = client.recv(1)
        except TimeoutError:
            raise Wrong("echo has returned, and a client's connection is still open") from None
        except ConnectionError:
            rest = b""  # closed all the same
        equal("what a client reads after the end", rest, b"")


EXERCISE = Exercise(BEGIN, (_one, _silent, _end, _idle, _slow_reader, _stops))
