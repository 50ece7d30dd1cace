"""Servers: the connections that are accepted, and what happens when accepting fails."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

import miniloop
from miniloop.net import listener as listener_module
from miniloop.net.server import Server
from tests.net.recording_protocol import Recorder
from tests.net.serving import Accepted, connect_to, end, listen

Run = Callable[..., Any]


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


# When `accept` fails.


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
