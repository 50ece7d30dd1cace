"""As little HTTP as the far end needs: a server with one page, and the length of a response."""

from __future__ import annotations

import select
import socket

__all__ = ["ask", "response", "serve"]

END_OF_HEAD = b"\r\n\r\n"


def response(size: int) -> bytes:
    """A response with a body of `size` bytes of text."""
    body = (b"an honest page of text, and nothing else in it\n" * (size // 47 + 1))[:size]
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


def serve(listener: socket.socket, times: int, page: bytes, patience: float) -> None:
    """Answer `times` requests with `page`, on however many connections they come."""
    listener.setblocking(False)
    clients: dict[int, socket.socket] = {}
    unread: dict[int, bytes] = {}
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    try:
        while times:
            events = poller.poll(patience)
            if not events:
                raise TimeoutError(f"no request for {patience} s, and {times} were to come")
            for fd, _ in events:
                if fd == listener.fileno():
                    client, _ = listener.accept()
                    client.settimeout(patience)
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    clients[client.fileno()] = client
                    unread[client.fileno()] = b""
                    poller.register(client, select.EPOLLIN)
                    continue
                data = clients[fd].recv(65536)
                if not data:
                    poller.unregister(fd)
                    clients.pop(fd).close()
                    continue
                *requests, unread[fd] = (unread[fd] + data).split(END_OF_HEAD)
                for _ in requests:
                    clients[fd].sendall(page)
                times -= len(requests)
    finally:
        poller.close()
        for client in clients.values():
            client.close()


def ask(sock: socket.socket, request: bytes) -> bytes:
    """Send a request and read the whole response. Raises `ValueError` where it tells no length."""
    sock.sendall(request)
    data = b""
    while END_OF_HEAD not in data:
        data += _some(sock)
    head, _, body = data.partition(END_OF_HEAD)
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    if not lengths:
        raise ValueError(f"the server under test gave no Content-Length: {head!r}")
    while len(body) < lengths[0]:
        body += _some(sock)
    return head + END_OF_HEAD + body


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("the server under test hung up in the middle of a response")
    return data
