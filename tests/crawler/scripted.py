"""A server that does exactly what a test says, in threads of its own and with plain sockets.

It shares no code and no event loop with what is tested.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Script = Callable[["Peer"], None]


class Peer:
    """The server's end of one connection, in the hands of a script."""

    def __init__(self, sock: socket.socket, number: int, server: Server) -> None:
        self.sock = sock
        self.number = number
        self.server = server

    def request(self) -> bytes:
        """The head of the next request, or b"" if the client has gone."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = self.sock.recv(1)
            if not data:
                return b""
            head += data
        self.server.requests.append(head)
        return head

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self, body: bytes = b"hello", *headers: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def until_gone(self) -> None:
        """Wait until the client has closed."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass
        self.server.gone.set()


class Server:
    """Runs ``script`` for each connection, with TLS if there is a context for it."""

    def __init__(
        self, script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self._script = script
        self._tls = tls
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = threading.Event()
        self.errors: list[Exception] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{self.port}"
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._socks.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.connections))
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket, number: int) -> None:
        sock = raw
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(raw, server_side=True)
            self._script(Peer(sock, number, self))
        except OSError:
            pass  # the client went away in the middle, as some tests have it do
        except Exception as error:
            self.errors.append(error)
        finally:
            sock.close()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._acceptor.join()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in self._socks:
            sock.close()


@contextlib.contextmanager
def serving(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[Server]:
    """A server for the length of a ``with`` block; raises what went wrong in the script."""
    server = Server(script, tls, host)
    try:
        yield server
    finally:
        server.stop()
    if server.errors:
        raise server.errors[0]


def saying(data: bytes) -> Script:
    """A script that answers the first request with ``data`` and closes."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(data)

    return script


def html(body: bytes, *headers: str) -> bytes:
    """A complete 200 reply."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def polite(peer: Peer, body: bytes = b"hello") -> None:
    """A script that answers every request."""
    while peer.request():
        peer.reply(body)


def pages(answers: dict[str, bytes]) -> Script:
    """A script that answers by path, with HTML or a whole reply; 404 for what is not there."""

    def script(peer: Peer) -> None:
        while head := peer.request():
            answer = answers.get(head.split(b" ")[1].decode())
            if answer is None:
                peer.reply(b"", status="404 Not Found")
            elif answer.startswith(b"HTTP/1.1"):
                peer.send(answer)
            else:
                peer.reply(answer, "Content-Type: text/html")

    return script


def asked(server: Server) -> list[str]:
    """The paths that were asked for, in order."""
    return [head.split(b" ")[1].decode() for head in server.requests]


def anchors(*links: str) -> bytes:
    """A page of links."""
    return "".join(f'<a href="{link}">x</a>' for link in links).encode()
