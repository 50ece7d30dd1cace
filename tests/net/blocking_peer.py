"""The other end of a connection: blocking code in a thread, which knows nothing of any loop.

Use these around the loop and not inside of it: leaving the ``with`` waits for the thread, and
raises what was raised there.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

Program = Callable[[socket.socket], object]

# Seconds after which blocking code gives up, which is before the test does. All of one `sendall`
# must be through by then, on a busy machine too.
PATIENCE = 25.0


@contextlib.contextmanager
def listening(program: Program, *, connections: int = 1) -> Iterator[tuple[str, int]]:
    """Run `program` on each of so many connections to the address that is yielded."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)

    def serve() -> None:
        with listener:
            for _ in range(connections):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(PATIENCE)
                    program(connection)

    with _thread(serve, give_up=lambda: listener.shutdown(socket.SHUT_RDWR)):
        yield listener.getsockname()


@contextlib.contextmanager
def calling(address: Callable[[], tuple[str, int]], program: Program) -> Iterator[None]:
    """Run `program` on a connection to the address, which may be known only later."""

    def call() -> None:
        with socket.create_connection(address(), timeout=PATIENCE) as connection:
            program(connection)

    with _thread(call):
        yield


@contextlib.contextmanager
def _thread(
    work: Callable[[], object], give_up: Callable[[], object] = lambda: None
) -> Iterator[None]:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as exc:
            failures.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            give_up()
        raise
    finally:
        thread.join(PATIENCE + 1)
        assert not thread.is_alive(), "the blocking peer has not ended"
    if failures:
        raise failures[0]


def tls_server(context: ssl.SSLContext, program: Callable[[ssl.SSLSocket], object]) -> Program:
    """`program`, on the server's side of TLS. It sees an EOF without close_notify as an error."""

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as tls:
            program(tls)

    return serve


def tls_client(context: ssl.SSLContext, program: Callable[[ssl.SSLSocket], object]) -> Program:
    """`program`, on the client's side of TLS."""

    def call(sock: socket.socket) -> None:
        with context.wrap_socket(
            sock, server_hostname="localhost", suppress_ragged_eofs=False
        ) as tls:
            program(tls)

    return call


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    """So many bytes."""
    pieces = []
    while count:
        piece = sock.recv(min(count, 65536))
        if not piece:
            raise EOFError(f"the connection ended {count} bytes too early")
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def reset(sock: socket.socket) -> None:
    """Close at once, with an RST: socket(7), SO_LINGER."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
