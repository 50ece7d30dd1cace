"""Servers: what they can be asked for, and what is left if they cannot be started."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import miniloop
from tests.net.addresses import open_descriptors
from tests.net.recording_protocol import Recorder
from tests.net.serving import Accepted, connect_to, end, listen

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "Neither host/port nor sock were specified"),
        ({"host": "127.0.0.1", "port": 0, "sock": True}, ValueError, "at the same time"),
        ({"sock": "datagram"}, ValueError, "A Stream Socket was expected"),
        ({"host": "127.0.0.1", "port": 0, "ssl": True}, TypeError, "must be an SSLContext or None"),
        ({"host": "127.0.0.1", "port": 0, "ssl_handshake_timeout": 1}, ValueError, "with ssl"),
        ({"host": "127.0.0.1", "port": 0, "ssl_shutdown_timeout": 1}, ValueError, "with ssl"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_contradictory_arguments_are_refused(
    run: Run, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    kind = socket.SOCK_DGRAM if arguments.get("sock") == "datagram" else socket.SOCK_STREAM

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, kind) as sock:
            given = {**arguments, "sock": sock} if "sock" in arguments else arguments
            with pytest.raises(error, match=message):
                await loop.create_server(Recorder, **given)

    run(main)


def test_a_listening_socket_can_be_given(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        accepted = Accepted()
        server = await loop.create_server(accepted, sock=sock)
        _, client = await connect_to(server)
        protocols = await accepted.count(1)
        await end(server, client, *protocols)
        assert sock.fileno() == -1

    run(main)


def test_a_port_that_is_taken_is_named(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, _ = await listen()
        address = server.sockets[0].getsockname()
        with pytest.raises(OSError, match="error while attempting to bind on address") as caught:
            await loop.create_server(Recorder, *address)
        assert caught.value.errno == errno.EADDRINUSE
        assert str(address[1]) in str(caught.value)
        await end(server)

    run(main)


def test_several_hosts_get_a_socket_each_and_equal_ones_one(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, ["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0)
        names = [sock.getsockname()[0] for sock in server.sockets]
        assert sorted(names) == ["127.0.0.1", "127.0.0.2"]
        await end(server)

    run(main)


@pytest.mark.parametrize("host", [None, ""], ids=repr)
def test_no_host_means_all_interfaces_of_both_families(run: Run, host: str | None) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, host, 0)
        families = {sock.family for sock in server.sockets}
        assert families == {socket.AF_INET, socket.AF_INET6}
        await end(server)

    run(main)


def test_two_servers_may_share_a_port_if_both_want_to(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, _ = await listen(reuse_port=True)
        other = await loop.create_server(Recorder, *one.sockets[0].getsockname(), reuse_port=True)
        await end(one)
        await end(other)

    run(main)


def test_keep_alive_can_be_asked_for() -> None:
    # Since CPython 3.13; ours everywhere.
    async def main() -> None:
        for wanted in (True, None):
            server, _ = await listen(keep_alive=wanted)
            option = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert bool(option) is bool(wanted)
            await end(server)

    miniloop.run(main())


def test_a_server_that_cannot_listen_is_not_serving() -> None:
    # Ours alone: asyncio believes that it does.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, _ = await listen(start_serving=False)
        address = one.sockets[0].getsockname()
        other = await loop.create_server(Recorder, *address, start_serving=False)
        await one.start_serving()
        with pytest.raises(OSError, match="in use"):
            await other.start_serving()
        assert not other.is_serving()
        await end(one)
        await other.start_serving()
        assert other.is_serving()
        await end(other)

    miniloop.run(main())


@pytest.mark.filterwarnings("ignore:unclosed", "ignore:.*unclosed")  # asyncio's sockets
@pytest.mark.parametrize("backlog", ["1", None, 1.5, b"1"])
def test_a_backlog_is_an_integer(run: Run, backlog: Any, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError, match="integer"):
            await loop.create_server(Recorder, "127.0.0.1", 0, backlog=backlog)
        with pytest.raises(TypeError, match="integer"):
            await loop.create_unix_server(Recorder, tmp_path / "socket", backlog=backlog)

    run(main)


# Failures and cancellations before it serves.


Create = Callable[..., Coroutine[Any, Any, Any]]


def by_name(loop: Any, _: Path, **kwargs: Any) -> Coroutine[Any, Any, Any]:
    return loop.create_server(Recorder, ["127.0.0.1", "localhost"], 0, **kwargs)  # type: ignore[no-any-return]


def at_a_path(loop: Any, path: Path, **kwargs: Any) -> Coroutine[Any, Any, Any]:
    return loop.create_unix_server(Recorder, path, **kwargs)  # type: ignore[no-any-return]


def at_a_path_that_stays(loop: Any, path: Path, **kwargs: Any) -> Coroutine[Any, Any, Any]:
    return loop.create_unix_server(Recorder, path, cleanup_socket=False, **kwargs)  # type: ignore[no-any-return]


CREATE = pytest.mark.parametrize("create", [by_name, at_a_path, at_a_path_that_stays])


@CREATE
@pytest.mark.parametrize("start_serving", [True, False])
def test_a_start_that_is_cancelled_at_any_turn_leaves_nothing(
    create: Create, start_serving: bool, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with closing(miniloop.new_event_loop()) as loop:
        # With one thread, whatever is asked of it comes after a lookup that was given up: that one
        # goes on in its thread, and has /etc/hosts open.
        loop.set_default_executor(ThreadPoolExecutor(1))
        loop.run_until_complete(loop.getaddrinfo("localhost", 0))  # the executor has its thread
        before = open_descriptors()
        made = []
        for turns in range(30):
            task = loop.create_task(create(loop, path, start_serving=start_serving))
            for _ in range(turns):
                loop.stop()
                loop.run_forever()
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
            made.append(not task.cancelled())
            if made[-1]:
                task.result().close()
                path.unlink(missing_ok=True)
            loop.run_until_complete(loop.run_in_executor(None, int))
            assert open_descriptors() == before, f"cancelled after {turns} turns"
            assert not path.exists()
        assert not made[0]
        loop.run_until_complete(loop.shutdown_default_executor())


class CannotListen(socket.socket):
    def listen(self, *_: Any) -> None:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


class CannotBeClosed(socket.socket):
    """It is closed, but something is said about it."""

    def close(self) -> None:
        if self.fileno() >= 0:
            super().close()
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@CREATE
@pytest.mark.parametrize("failure", ["listen", "watch", "watch, and close"])
def test_a_start_that_fails_leaves_nothing(
    create: Create, failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        await loop.getaddrinfo("localhost", 0)
        before = open_descriptors()
        with monkeypatch.context() as patch:
            if failure == "listen":
                patch.setattr(socket, "socket", CannotListen)
            else:
                patch.setattr(loop.poller, "watch_reader", refuse)  # type: ignore[attr-defined]
            if failure == "watch, and close":
                patch.setattr(socket, "socket", CannotBeClosed)
            with pytest.raises(OSError, match="in use" if failure == "listen" else "No space"):
                await create(loop, path)
        assert open_descriptors() == before
        assert not path.exists()
        if failure == "watch, and close":
            assert {report["exception"].errno for report in reports} == {errno.EIO}
        else:
            assert not reports

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    miniloop.run(main())


def test_a_socket_that_was_given_is_left_to_its_owner_if_the_start_fails(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with CannotListen() as sock:
            sock.bind(("127.0.0.1", 0))
            with pytest.raises(OSError, match="in use"):
                await loop.create_server(Recorder, sock=sock)
            assert sock.fileno() >= 0

    run(main)


def test_a_server_whose_socket_fails_to_close_is_closed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        sock = CannotBeClosed()
        sock.bind(("127.0.0.1", 0))
        server = await loop.create_server(Recorder, sock=sock)
        server.close()
        await server.wait_closed()
        assert not server.sockets
        assert [report["exception"].errno for report in reports] == [errno.EIO]

    miniloop.run(main())
