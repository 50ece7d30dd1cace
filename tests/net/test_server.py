"""Servers: listening, accepting, and the several ways to end."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import miniloop
from miniloop.net import listener as listener_module
from miniloop.net.server import Server
from tests.net.addresses import open_descriptors
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]


class Accepted:
    """A protocol factory that keeps the protocols it has made."""

    def __init__(self) -> None:
        self.protocols: list[Recorder] = []
        self.changed = asyncio.Event()

    def __call__(self) -> Recorder:
        self.protocols.append(Recorder())
        self.changed.set()
        return self.protocols[-1]

    async def count(self, number: int) -> list[Recorder]:
        """The protocols, once there are so many and each has its transport."""
        while len([one for one in self.protocols if one.calls]) < number:
            await asyncio.sleep(0.001)
        return self.protocols


async def connect_to(server: Any) -> tuple[Any, Recorder]:
    loop = asyncio.get_running_loop()
    address = server.sockets[0].getsockname()
    transport, protocol = await loop.create_connection(Recorder, *address[:2])
    return transport, protocol


async def listen(**kwargs: Any) -> tuple[Any, Accepted]:
    accepted = Accepted()
    loop = asyncio.get_running_loop()
    return await loop.create_server(accepted, "127.0.0.1", 0, **kwargs), accepted


async def end(server: Any, *protocols: Recorder) -> None:
    """Close everything and wait for it."""
    server.close()
    for protocol in protocols:
        protocol.transport.close()
        await protocol.lost
    await server.wait_closed()
    await asyncio.sleep(0)


def test_a_server_makes_a_protocol_for_each_connection(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen()
        clients = [await connect_to(server) for _ in range(5)]
        protocols = await accepted.count(5)
        for number, (transport, _) in enumerate(clients):
            transport.write(b"%d" % number)
        for protocol in protocols:
            await protocol.received(1)
        assert sorted(bytes(protocol.data) for protocol in protocols) == [
            b"0",
            b"1",
            b"2",
            b"3",
            b"4",
        ]
        peers = {protocol.transport.get_extra_info("peername") for protocol in protocols}
        assert peers == {transport.get_extra_info("sockname") for transport, _ in clients}
        await end(server, *[protocol for _, protocol in clients], *protocols)

    run(main)


def test_many_connections_at_once_are_all_accepted(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen(backlog=100)
        clients = await asyncio.gather(*(connect_to(server) for _ in range(100)))
        protocols = await accepted.count(100)
        await end(server, *[protocol for _, protocol in clients], *protocols)

    run(main)


def test_a_server_has_accepted_a_client_of_its_own_loop_when_that_goes_on(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen()
        _, client = await connect_to(server)
        server.close()
        (protocol,) = await accepted.count(1)
        client.transport.write(b"still there")
        assert await protocol.received(11) == b"still there"
        await end(server, client, protocol)

    run(main)


def test_a_crowd_that_waits_is_accepted_in_few_turns() -> None:
    with closing(miniloop.new_event_loop()) as loop:
        server, accepted = loop.run_until_complete(listen(backlog=100))
        address = server.sockets[0].getsockname()
        crowd = [socket.create_connection(address) for _ in range(100)]
        turns = 0
        while len(accepted.protocols) < len(crowd):
            loop.stop()
            loop.run_forever()  # one turn
            turns += 1
            assert turns < 40, "one or two in a turn is too slow for those who wait"
        for client in crowd:
            client.close()
        loop.run_until_complete(end(server, *accepted.protocols))


def test_a_visitor_at_one_door_does_not_slow_down_the_crowd_at_another() -> None:
    """Every socket of a server learns by itself how many wait at once."""
    accepts_of: dict[int, int] = {}
    turn = 0

    class Door(socket.socket):
        def accept(self) -> Any:
            taken = super().accept()
            accepts_of[turn] = accepts_of.get(turn, 0) + 1
            return taken

    with closing(miniloop.new_event_loop()) as loop, closing(socket.socket()) as other:
        door = Door()
        for sock in (door, other):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        accepted = Accepted()
        server = Server(loop, [door, other], accepted, 100, None)
        loop.run_until_complete(server.start_serving())
        visitors: list[socket.socket] = []

        def let_in(where: socket.socket, number: int) -> None:
            """Have so many come at once, and turn until they are in."""
            nonlocal turn
            for _ in range(number):
                visitors.append(socket.create_connection(where.getsockname()))
            while len(accepted.protocols) < len(visitors):
                turn += 1
                loop.stop()
                loop.run_forever()

        for _ in range(8):
            let_in(door, 60)  # it learns
        accepts_of.clear()
        let_in(door, 16)
        learned = list(accepts_of.values())
        assert learned[0] > 1
        let_in(other, 1)
        accepts_of.clear()
        let_in(door, 16)
        assert list(accepts_of.values()) == learned
        for visitor in visitors:
            visitor.close()
        server.close_clients()
        loop.run_until_complete(end(server))


def test_lone_visitors_seldom_make_it_ask_in_vain() -> None:
    in_vain = 0

    class Listener(socket.socket):
        def accept(self) -> Any:
            nonlocal in_vain
            try:
                return super().accept()
            except BlockingIOError:
                in_vain += 1
                raise

    async def main() -> None:
        listener = Listener()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        accepted = Accepted()
        server = await asyncio.get_running_loop().create_server(accepted, sock=listener)
        for number in range(1, 65):
            with socket.create_connection(listener.getsockname()):
                protocols = await accepted.count(number)
        await end(server, *protocols)

    miniloop.run(main())
    assert in_vain < 10


def test_a_server_knows_its_sockets_and_its_loop(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen()
        assert server.get_loop() is asyncio.get_running_loop()
        (sock,) = server.sockets
        assert sock.getsockname()[0] == "127.0.0.1"
        assert not hasattr(sock, "accept"), "a view of the socket, not the socket itself"
        assert "<Server sockets=" in repr(server)
        server.close()
        assert server.sockets == ()
        await server.wait_closed()

    run(main)


def test_a_server_can_start_later(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen(start_serving=False)
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await connect_to(server)
        await server.start_serving()
        await server.start_serving()
        assert server.is_serving()
        _, protocol = await connect_to(server)
        protocols = await accepted.count(1)
        await end(server, protocol, *protocols)
        assert not server.is_serving()

    run(main)


def test_a_closed_server_cannot_be_started() -> None:
    # Ours alone: asyncio raises a TypeError about None.
    async def main() -> None:
        server, _ = await listen()
        server.close()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.start_serving()

    miniloop.run(main())


def test_serving_forever_ends_when_it_is_cancelled_and_closes_the_server(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen(start_serving=False)
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert server.is_serving()
        with pytest.raises(RuntimeError, match="is already being awaited on serve_forever"):
            await server.serve_forever()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not server.is_serving()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.serve_forever()

    run(main)


def test_serving_forever_ends_although_a_client_stays() -> None:
    """asyncio: in newer releases of 3.13 and later; on 3.12 it waits for the client for ever."""

    async def main() -> None:
        server, accepted = await listen()
        serving = asyncio.ensure_future(server.serve_forever())
        _, client = await connect_to(server)
        (protocol,) = await accepted.count(1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        if sys.version_info >= (3, 12):
            assert await client.lost is None
            assert await protocol.lost is None
        else:  # where a closed server is not waited for
            assert not client.lost.done()
        await end(server, *(one for one in (client, protocol) if not one.lost.done()))

    miniloop.run(main())


def test_serving_forever_ends_when_the_server_is_closed(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen()
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await serving

    run(main)


def test_a_server_is_closed_by_its_with_block(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen()
        async with server as entered:
            assert entered is server
            assert server.is_serving()
        assert not server.is_serving()
        server.close()
        await server.wait_closed()

    run(main)


# Waiting for the end.


def test_waiting_for_a_closed_server_waits_for_its_connections_from_3_12_on(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen()
        _, client = await connect_to(server)
        (protocol,) = await accepted.count(1)
        server.close()
        waiting = asyncio.ensure_future(server.wait_closed())
        for _ in range(5):
            await asyncio.sleep(0)
        assert waiting.done() == (sys.version_info < (3, 12))
        client.transport.close()
        await client.lost
        await protocol.lost
        await waiting

    run(main)


def test_several_may_wait_for_the_end(run: Run) -> None:
    async def main() -> None:
        server, _ = await listen()
        waiting = [asyncio.ensure_future(server.wait_closed()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        waiting[0].cancel()
        await asyncio.sleep(0)
        server.close()
        await asyncio.gather(*waiting[1:])
        await server.wait_closed()

    run(main)


def test_connections_survive_the_end_of_the_server(run: Run) -> None:
    async def main() -> None:
        server, accepted = await listen()
        _, client = await connect_to(server)
        (protocol,) = await accepted.count(1)
        server.close()
        client.transport.write(b"still there")
        assert await protocol.received(11) == b"still there"
        await end(server, client, protocol)

    run(main)


@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_all_connections_of_a_server_can_be_ended(method: str) -> None:
    # Since CPython 3.13; ours everywhere.
    async def main() -> None:
        server, accepted = await listen()
        clients = [await connect_to(server) for _ in range(3)]
        protocols = await accepted.count(3)
        large = bytes(20_000_000)
        for protocol in protocols:
            protocol.transport.write(large)
        server.close()
        getattr(server, method)()
        for protocol in protocols:
            assert protocol.transport.is_closing()
        for _, client in clients:
            await client.lost
            if method == "close_clients":
                assert len(client.data) == len(large)
            else:
                assert len(client.data) < len(large)
        await server.wait_closed()

    miniloop.run(main())


def test_a_connection_that_was_dropped_unclosed_does_not_hold_up_the_end() -> None:
    async def main() -> None:
        server, accepted = await listen()
        _, client = await connect_to(server)
        (protocol,) = await accepted.count(1)
        protocol.transport.abort()
        await protocol.lost
        client.transport.abort()
        await client.lost
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)

    miniloop.run(main())


# Arguments.


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


@pytest.mark.parametrize("backlog", [0, -1])
def test_a_server_without_a_backlog_goes_on_accepting(backlog: int) -> None:
    """asyncio accepts nobody then."""

    async def main() -> None:
        server, accepted = await listen(backlog=backlog)
        for number in range(1, 40):  # far beyond what a burst takes to learn
            with socket.create_connection(server.sockets[0].getsockname()):
                protocols = await accepted.count(number)
        await end(server, *protocols)

    miniloop.run(main())


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


# Failures while accepting.


def test_what_a_protocol_factory_sets_is_not_seen_by_the_next_connection(run: Run) -> None:
    seen: list[str] = []
    variable = contextvars.ContextVar("variable", default="unset")

    async def main() -> None:
        def factory() -> Recorder:
            seen.append(variable.get())
            variable.set("set by the factory")
            accepted.protocols.append(Noting())
            return accepted.protocols[-1]

        class Noting(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                seen.append(variable.get())
                super().connection_made(transport)

        accepted = Accepted()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, "127.0.0.1", 0)
        for number in (1, 2):
            _, client = await connect_to(server)
            protocols = await accepted.count(number)
            client.transport.close()
            await client.lost
        await end(server, *(one for one in protocols if not one.lost.done()))

    run(main)
    assert seen == ["unset", "set by the factory"] * 2


def test_listening_that_cannot_go_on_after_a_pause_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "ACCEPT_RETRY_DELAY", 0.005)
    failures = [errno.EMFILE, errno.EMFILE]

    class Exhausted(socket.socket):
        def accept(self) -> Any:
            if failures:
                raise OSError(failures.pop(), "out of descriptors")
            return super().accept()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[int] = []
        loop.set_exception_handler(lambda _, context: reports.append(context["exception"].errno))
        sock = Exhausted()
        sock.bind(("127.0.0.1", 0))
        accepted = Accepted()
        server = await loop.create_server(accepted, sock=sock)
        _, client = await connect_to(server)
        while not reports:
            await asyncio.sleep(0)

        def refuse(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "no room for a watch")

        with monkeypatch.context() as patch:
            patch.setattr(loop.poller, "watch_reader", refuse)  # type: ignore[attr-defined]
            while len(reports) < 3:
                await asyncio.sleep(0.001)
        protocols = await accepted.count(1)
        assert reports[:3] == [errno.EMFILE, errno.ENOSPC, errno.ENOSPC]
        await end(server, client, *protocols)

    miniloop.run(main())


def test_a_protocol_factory_that_fails_is_reported_and_the_next_connection_served() -> None:
    # Ours alone: asyncio says so in debug mode only, and leaves the socket to the collector.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        accepted = Accepted()
        failures = [LookupError("no protocol today")]

        def factory() -> Recorder:
            if failures:
                raise failures.pop()
            return accepted()

        server = await loop.create_server(factory, "127.0.0.1", 0)
        _, first = await connect_to(server)
        await first.lost
        _, second = await connect_to(server)
        protocols = await accepted.count(1)
        (report,) = reports
        assert report["message"] == "Error on transport creation for incoming connection"
        assert isinstance(report["exception"], LookupError)
        await end(server, second, *protocols)

    miniloop.run(main())


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_running_out_of_descriptors_pauses_accepting(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(listener_module, "ACCEPT_RETRY_DELAY", 0.02)

    class Exhausted(socket.socket):
        """A listening socket for which there are no descriptors, for a while."""

        attempts = 0

        def accept(self) -> Any:
            self.attempts += 1
            if self.attempts <= 2:
                raise OSError(code, "out of something")
            return super().accept()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        sock = Exhausted()
        sock.bind(("127.0.0.1", 0))
        accepted = Accepted()
        server = await loop.create_server(accepted, sock=sock)
        _, client = await connect_to(server)
        while sock.attempts < 2:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert sock.attempts == 2, "it does not spin"
        protocols = await accepted.count(1)  # after the pause
        (report,) = reports
        assert report["message"] == "socket.accept() out of system resource"
        assert report["exception"].errno == code
        assert report["socket"].fileno() == sock.fileno()
        await end(server, client, *protocols)

    miniloop.run(main())


def test_a_listening_socket_that_is_broken_does_not_spin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """asyncio reports it on every turn."""
    monkeypatch.setattr(listener_module, "ACCEPT_RETRY_DELAY", 3600)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        sock = socket.create_server(("127.0.0.1", 0))
        server = await loop.create_server(Recorder, sock=sock)
        sock.shutdown(socket.SHUT_RDWR)  # EINVAL from now on
        while not reports:
            await asyncio.sleep(0)
        for _ in range(40):
            await asyncio.sleep(0)
        (report,) = reports
        assert report["exception"].errno == errno.EINVAL
        await end(server)

    miniloop.run(main())


async def visit_after(failures: list[int]) -> list[dict[str, Any]]:
    """One client of a server whose `accept` fails first; gives what the handler was told."""

    class Failing(socket.socket):
        def accept(self) -> Any:
            if failures:
                raise OSError(failures.pop(), "just now")
            return super().accept()

    loop = asyncio.get_running_loop()
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    sock = Failing()
    sock.bind(("127.0.0.1", 0))
    accepted = Accepted()
    server = await loop.create_server(accepted, sock=sock)
    _, client = await connect_to(server)
    protocols = await asyncio.wait_for(accepted.count(1), 30)
    await end(server, client, *protocols)
    return reports


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM, errno.EPERM, errno.EBADF])
def test_a_failure_that_passes_holds_up_nobody(
    run: Run, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """EPERM, say, is what a security module answers, and may concern one connection alone."""
    monkeypatch.setattr(listener_module, "ACCEPT_RETRY_DELAY", 3600)
    (report,) = run(visit_after, [code])
    assert report["exception"].errno == code


def test_a_connection_that_has_failed_in_the_queue_holds_up_nobody(run: Run) -> None:
    assert run(visit_after, [errno.ECONNABORTED, errno.ECONNABORTED]) == []


def test_a_server_that_is_closed_during_the_pause_stays_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "ACCEPT_RETRY_DELAY", 0.005)

    class Exhausted(socket.socket):
        def accept(self) -> Any:
            raise OSError(errno.EMFILE, "out of descriptors")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[object] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        sock = Exhausted()
        sock.bind(("127.0.0.1", 0))
        server = await loop.create_server(Recorder, sock=sock)
        _, client = await connect_to(server)
        while not reports:
            await asyncio.sleep(0)
        await end(server, client)
        await asyncio.sleep(0.02)
        assert len(reports) == 1

    miniloop.run(main())
