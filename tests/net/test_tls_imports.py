"""What an interpreter must have, and when: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys, threading
import {module}
from tests.net import certificates
from tests.net.blocking_peer import calling, tls_client

async def main():
    lost = asyncio.get_running_loop().create_future()
    async def serve(reader, writer):
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()
        lost.set_result(None)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificates.server_context())
    def say(sock):
        sock.sendall(b"hello\\n")
        assert sock.recv(100) == b"hello\\n"
        assert sock.recv(100) == b""
        sock.unwrap()
    client = tls_client(certificates.client_context(), say)
    def note(event, args):
        if event == "import" and threading.current_thread() is threading.main_thread():
            late.append(args[0])
    sys.addaudithook(note)
    with calling(server.sockets[0].getsockname, client):
        await lost
    assert not late, late
    server.close()

late = []
loop = {module}.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""

CLIENT = """
import asyncio, socket, sys, threading
import miniloop
from tests.net import certificates

def serve():
    with certificates.server_context().wrap_socket(listener, server_side=True) as secured:
        connection, _ = secured.accept()
        with connection:
            connection.sendall(b"hello")

async def main():
    client = certificates.client_context()
    address, name = listener.getsockname(), "localhost"
    thread = threading.Thread(target=serve)  # which takes the listener over
    thread.start()
    def note(event, args):
        if event == "import" and threading.current_thread() is threading.main_thread():
            late.append(args[0])
    sys.addaudithook(note)
    reader, writer = await asyncio.open_connection(*address, ssl=client, server_hostname=name)
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    assert not late, late
    thread.join()

late = []
listener = socket.create_server(("127.0.0.1", 0))
miniloop.run(main())
"""

WITHOUT_SSL = """
import sys
sys.modules["ssl"] = sys.modules["_ssl"] = None
import asyncio
import {module}

async def main():
    async def serve(reader, writer):
        writer.write(await reader.readline())
        writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\\n")
    assert await reader.read() == b"hello\\n"
    loop = asyncio.get_running_loop()
    try:
        await loop.start_tls(writer.transport, asyncio.Protocol(), None)
    except RuntimeError as exc:
        assert "ssl module is not available" in str(exc), exc
    else:
        raise AssertionError("without ssl there is no TLS")
    writer.close()
    await writer.wait_closed()
    server.close()

loop = {module}.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""

ON_BOTH = pytest.mark.parametrize("module", ["miniloop", "asyncio"])


def execute(program: str) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@ON_BOTH
def test_nothing_is_imported_when_the_first_tls_connection_comes(module: str) -> None:
    execute(PROGRAM.format(module=module))


def test_nothing_is_imported_for_the_first_connection_to_a_tls_server() -> None:
    execute(CLIENT)


@ON_BOTH
def test_without_the_ssl_module_all_the_rest_works(module: str) -> None:
    execute(WITHOUT_SSL.format(module=module))
