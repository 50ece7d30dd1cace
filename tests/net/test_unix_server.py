"""Servers on Unix sockets: paths, abstract names, stale files, and who removes what."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import miniloop
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]

REMOVES_BY_ITSELF = sys.version_info >= (3, 13)


async def talk(path: Any) -> None:
    """Connect to a server that echoes nothing, and close again."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_unix_connection(Recorder, path)
    assert transport.get_extra_info("peername") in (path, str(path))
    transport.close()
    await protocol.lost


async def close(server: Any) -> None:
    server.close()
    await asyncio.sleep(0.001)  # for the far ends of its connections
    await server.wait_closed()


@pytest.mark.parametrize("kind", [str, bytes, Path], ids=lambda kind: kind.__name__)
def test_a_server_listens_at_a_path(run: Run, tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "socket"
    given = os.fsencode(path) if kind is bytes else kind(path)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Recorder, given)
        assert server.sockets[0].getsockname() == str(path)
        await talk(str(path))
        await close(server)

    run(main)
    assert path.exists() is not REMOVES_BY_ITSELF


@pytest.mark.parametrize("wanted", [True, False])
def test_who_removes_the_file_can_be_said(tmp_path: Path, wanted: bool) -> None:
    # Since CPython 3.13; ours everywhere.
    path = tmp_path / "socket"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Recorder, path, cleanup_socket=wanted)  # type: ignore[call-arg, unused-ignore]
        assert path.is_socket()
        await close(server)

    miniloop.run(main())
    assert path.exists() is not wanted


def test_a_file_that_somebody_else_has_put_there_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Recorder, path, cleanup_socket=True)  # type: ignore[call-arg, unused-ignore]
        path.rename(tmp_path / "ours")
        path.write_text("somebody else's")
        await close(server)

    miniloop.run(main())
    assert path.read_text() == "somebody else's"


def test_a_file_that_is_gone_already_is_no_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "socket"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Recorder, path, cleanup_socket=True)  # type: ignore[call-arg, unused-ignore]
        path.unlink()
        await close(server)

    miniloop.run(main())
    assert caplog.records == []


def test_a_stale_socket_is_replaced(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Recorder, path)
        await talk(str(path))
        await close(server)

    run(main)


def test_a_file_that_is_no_socket_is_not_replaced(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(OSError, match=r"Address .*file' is already in use"):
            await loop.create_unix_server(Recorder, path)

    run(main)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("kind", [str, bytes])
def test_an_abstract_name_leaves_no_file(run: Run, kind: type) -> None:
    name: Any = f"\0miniloop-test-{os.getpid()}"
    if kind is bytes:
        name = name.encode()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Recorder, name)
        expected = name if kind is bytes else name.encode()
        assert server.sockets[0].getsockname() == expected
        transport, protocol = await loop.create_unix_connection(Recorder, name)
        transport.close()
        await protocol.lost
        await close(server)

    run(main)


def test_a_listening_socket_can_be_given(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        server = await loop.create_unix_server(Recorder, sock=sock)
        await talk(str(path))
        await close(server)

    run(main)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "path was not specified, and no sock specified"),
        ({"path": "x", "sock": True}, ValueError, "path and sock can not be specified"),
        ({"sock": True}, ValueError, "A UNIX Domain Stream Socket was expected"),
        ({"path": "x", "ssl": True}, TypeError, "must be an SSLContext or None"),
        ({"path": "x", "ssl_handshake_timeout": 1}, ValueError, "only meaningful with ssl"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_contradictory_arguments_are_refused(
    run: Run, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET) as sock:
            given: dict[str, Any] = (
                {**arguments, "sock": sock} if "sock" in arguments else arguments
            )
            with pytest.raises(error, match=message):
                await loop.create_unix_server(Recorder, **given)

    run(main)


def test_a_path_in_a_directory_that_is_not_there_is_an_error(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(FileNotFoundError):
            await loop.create_unix_server(Recorder, tmp_path / "none" / "socket")

    run(main)


def test_start_unix_server_and_open_unix_connection_work_on_top(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async def main() -> bytes:
        async with await asyncio.start_unix_server(echo, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello\n")
            reply = await reader.read()
            writer.close()
            await writer.wait_closed()
            return reply

    assert run(main) == b"hello\n"
