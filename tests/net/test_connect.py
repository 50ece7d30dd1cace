"""create_connection: which of several addresses, from where, and how it says that none would do."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import miniloop
from miniloop.net import happy_eyeballs
from tests.net.addresses import answering, refusing, resolve_to, silent
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]


async def peer_of(*args: Any, **kwargs: Any) -> Any:
    """Connect, close, and give the address that was connected to."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Recorder, *args, **kwargs)
    peer = transport.get_extra_info("peername")
    transport.close()
    await protocol.lost
    return peer


def test_the_first_address_that_answers_is_taken(run: Run) -> None:
    async def main() -> None:
        with refusing() as bad, answering() as good, answering() as other:
            resolve_to(asyncio.get_running_loop(), bad, good, other)
            assert await peer_of("name.test", 80) == good

    run(main)


def test_a_literal_needs_no_resolver() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with answering() as good:
            asked = resolve_to(loop, good)
            assert await peer_of(*good) == good
            assert asked == []

    miniloop.run(main())


def test_ipv6_can_be_connected_to(run: Run) -> None:
    async def main() -> None:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
            port = listener.getsockname()[1]
            assert (await peer_of("::1", port))[:2] == ("::1", port)

    run(main)


def test_one_failure_is_raised_as_it_is(run: Run) -> None:
    async def main() -> None:
        with refusing() as bad:
            with pytest.raises(ConnectionRefusedError) as caught:
                await peer_of(*bad)
            assert str(bad) in str(caught.value)

    run(main)


def test_several_failures_are_named_in_one_error(run: Run) -> None:
    async def main() -> None:
        with refusing() as one, refusing() as other:
            resolve_to(asyncio.get_running_loop(), one, other)
            with pytest.raises(OSError, match="Multiple exceptions: ") as caught:
                await peer_of("name.test", 80)
            assert str(one) in str(caught.value)
            assert str(other) in str(caught.value)

    run(main)


def test_several_equal_failures_are_raised_once(run: Run) -> None:
    async def main() -> None:
        with refusing() as bad:
            resolve_to(asyncio.get_running_loop(), bad, bad)
            with pytest.raises(ConnectionRefusedError):
                await peer_of("name.test", 80)

    run(main)


@pytest.mark.parametrize("delay", [None, 0.001], ids=["in turn", "staggered"])
def test_all_errors_come_in_a_group_on_request(delay: float | None) -> None:
    # Since CPython 3.12; ours everywhere.
    async def main() -> None:
        with refusing() as one, refusing() as other:
            resolve_to(asyncio.get_running_loop(), one, other)
            with pytest.raises(ExceptionGroup) as caught:
                await peer_of("name.test", 80, all_errors=True, happy_eyeballs_delay=delay)
            assert [type(exc) for exc in caught.value.exceptions] == [ConnectionRefusedError] * 2

    miniloop.run(main())


def test_a_name_without_addresses_is_an_error(run: Run) -> None:
    async def main() -> None:
        resolve_to(asyncio.get_running_loop())
        with pytest.raises(OSError, match="returned empty list"):
            await peer_of("name.test", 80)

    run(main)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "host and port was not specified and no sock specified"),
        ({"host": "127.0.0.1", "port": 1, "sock": True}, "can not be specified at the same time"),
        ({"sock": "datagram"}, "A Stream Socket was expected"),
        ({"host": "127.0.0.1", "port": 1, "server_hostname": "x"}, "only meaningful with ssl"),
        ({"host": "127.0.0.1", "port": 1, "ssl_handshake_timeout": 1}, "only meaningful with ssl"),
        ({"host": "127.0.0.1", "port": 1, "ssl_shutdown_timeout": 1}, "only meaningful with ssl"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_contradictory_arguments_are_refused(
    run: Run, arguments: dict[str, Any], message: str
) -> None:
    kind = socket.SOCK_DGRAM if arguments.get("sock") == "datagram" else socket.SOCK_STREAM

    async def main() -> None:
        with socket.socket(socket.AF_INET, kind) as sock:
            given = {**arguments, "sock": sock} if "sock" in arguments else arguments
            with pytest.raises(ValueError, match=message):
                await peer_of(**given)

    run(main)


@pytest.mark.parametrize("delay", [None, 0.001], ids=["in turn", "staggered"])
def test_a_port_that_is_none_is_named(delay: float | None) -> None:
    # Ours alone: with a delay, asyncio swallows it and says "Multiple exceptions: " and no more.
    async def main() -> None:
        with pytest.raises(OverflowError, match="port must be 0-65535"):
            await peer_of("127.0.0.1", 70000, happy_eyeballs_delay=delay)

    miniloop.run(main())


def test_a_connected_socket_can_be_taken_over(run: Run) -> None:
    async def main() -> None:
        with answering() as good:
            assert await peer_of(sock=socket.create_connection(good)) == good

    run(main)


def test_a_protocol_factory_that_fails_leaves_no_socket(run: Run) -> None:
    def factory() -> asyncio.Protocol:
        raise LookupError("no protocol today")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with answering() as good:
            sock = socket.create_connection(good)
            with pytest.raises(LookupError, match="no protocol today"):
                await loop.create_connection(factory, sock=sock)
            sock.close()  # asyncio leaves it to us
            if isinstance(loop, miniloop.EventLoop):
                with pytest.raises(LookupError, match="no protocol today"):
                    await loop.create_connection(factory, *good)

    run(main)


# The local end.


def test_the_local_address_can_be_chosen(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with answering() as good:
            transport, protocol = await loop.create_connection(
                Recorder, *good, local_addr=("127.0.0.2", 0)
            )
            assert transport.get_extra_info("sockname")[0] == "127.0.0.2"
            transport.close()
            await protocol.lost

    run(main)


def test_a_local_address_that_is_taken_is_named(run: Run) -> None:
    async def main() -> None:
        with answering() as good, answering() as taken:
            with pytest.raises(
                OSError, match="error while attempting to bind on address"
            ) as caught:
                await peer_of(*good, local_addr=taken)
            assert str(taken[1]) in str(caught.value)

    run(main)


def test_a_local_address_of_another_family_is_refused(run: Run) -> None:
    async def main() -> None:
        with (
            answering() as good,
            pytest.raises(OSError, match="no matching local address with family="),
        ):
            await peer_of(*good, local_addr=("::1", 0))

    run(main)


# Happy Eyeballs.


def test_an_address_that_says_nothing_does_not_hold_up_the_next(run: Run) -> None:
    async def main() -> None:
        with silent() as dead, answering() as good:
            resolve_to(asyncio.get_running_loop(), dead, good)
            before = time.monotonic()
            assert await peer_of("name.test", 80, happy_eyeballs_delay=0.01) == good
            assert time.monotonic() - before >= 0.009

    run(main)


def test_a_failure_starts_the_next_attempt_without_waiting(run: Run) -> None:
    async def main() -> None:
        with refusing() as bad, answering() as good:
            resolve_to(asyncio.get_running_loop(), bad, bad, bad, good)
            assert await peer_of("name.test", 80, happy_eyeballs_delay=3600) == good

    run(main)


def test_when_all_attempts_fail_the_staggered_errors_are_named(run: Run) -> None:
    async def main() -> None:
        with refusing() as one, refusing() as other:
            resolve_to(asyncio.get_running_loop(), one, other)
            with pytest.raises(OSError, match="Multiple exceptions: ") as caught:
                await peer_of("name.test", 80, happy_eyeballs_delay=0.001)
            assert str(one) in str(caught.value)
            assert str(other) in str(caught.value)

    run(main)


@pytest.mark.parametrize("delay", [None, 0, 0.001])
@pytest.mark.parametrize("kept", ["the winner", "nothing", "nothing, bound"])
def test_attempts_that_failed_leave_no_circle(delay: float | None, kept: str) -> None:
    """asyncio's do: with a delay on every version, without on the older ones."""

    async def main() -> None:
        with refusing() as bad, refusing() as worse, answering() as good:
            addresses = (bad, worse, good) if kept == "the winner" else (bad, worse)
            resolve_to(asyncio.get_running_loop(), *addresses)
            local = ("192.0.2.1", 0) if kept == "nothing, bound" else None
            gc.collect()
            gc.disable()
            try:
                await peer_of("name.test", 80, local_addr=local, happy_eyeballs_delay=delay)
            except OSError:
                assert kept != "the winner"
            await asyncio.sleep(0)  # what was queued is gone
            await asyncio.sleep(0)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            found = [thing for thing in gc.garbage if isinstance(thing, Exception | asyncio.Future)]
            assert found == []

    try:
        miniloop.run(main())
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


ODD = [
    {"proto": socket.IPPROTO_UDP},
    {"proto": socket.IPPROTO_ICMP},
    {"proto": -1},
    {"family": socket.AF_INET6},
    {"family": socket.AF_UNIX},
    {"family": 99},
    {"flags": socket.AI_NUMERICHOST},
    {"port": "http-"},
    {"port": 70000},
]


@pytest.mark.parametrize("odd", ODD, ids=map(str, ODD))
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_odd_arguments_have_the_outcome_that_they_have_on_asyncio(
    host: str, odd: dict[str, Any]
) -> None:
    async def outcome() -> Any:
        with answering() as good:
            try:
                port = odd.get("port", good[1])
                others = {name: value for name, value in odd.items() if name != "port"}
                return len(await peer_of(host, port, **others))
            except (OSError, TypeError, OverflowError) as exc:
                return type(exc), exc.args[:1]

    outcomes = []
    for factory in (asyncio.new_event_loop, miniloop.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            outcomes.append(runner.run(outcome()))
    assert outcomes[1] == outcomes[0]


def test_an_endpoint_with_the_protocol_of_streams_speaks_udp(run: Run) -> None:
    async def main() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0), proto=socket.IPPROTO_TCP
        )
        assert transport.get_extra_info("socket").proto == socket.IPPROTO_UDP
        transport.close()
        await asyncio.sleep(0)

    run(main)


SIX, FOUR = socket.AF_INET6, socket.AF_INET


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (1, "6a 4a 6b 4b 6c"),
        (2, "6a 6b 4a 6c 4b"),
        (3, "6a 6b 6c 4a 4b"),
        (9, "6a 6b 6c 4a 4b"),
    ],
)
def test_address_families_alternate(first: int, expected: str) -> None:
    names = ["6a", "6b", "6c", "4a", "4b"]
    infos: list[Any] = [
        (SIX if name[0] == "6" else FOUR, socket.SOCK_STREAM, 0, "", (name, 0)) for name in names
    ]
    order = [info[4][0] for info in happy_eyeballs.interleave(infos, first)]
    assert " ".join(order) == expected


def test_one_family_stays_in_its_order() -> None:
    infos: list[Any] = [(FOUR, socket.SOCK_STREAM, 0, "", (str(n), 0)) for n in range(5)]
    assert happy_eyeballs.interleave(infos, 1) == infos


# Unix sockets.


def test_a_unix_socket_can_be_connected_to(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            for name in (path, str(path), bytes(path)):
                transport, protocol = await loop.create_unix_connection(Recorder, name)
                assert transport.get_extra_info("peername") == str(path)
                transport.close()
                await protocol.lost

    run(main)


def test_a_unix_socket_that_is_not_there_is_an_error(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.get_running_loop().create_unix_connection(Recorder, tmp_path / "none")

    run(main)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no path and sock were specified"),
        ({"path": "x", "sock": True}, "path and sock can not be specified at the same time"),
        ({"sock": True}, "A UNIX Domain Stream Socket was expected"),
        ({"path": "x", "server_hostname": "x"}, "server_hostname is only meaningful with ssl"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_contradictory_arguments_for_unix_sockets_are_refused(
    run: Run, arguments: dict[str, Any], message: str
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET) as sock:
            given: dict[str, Any] = (
                {**arguments, "sock": sock} if "sock" in arguments else arguments
            )
            with pytest.raises(ValueError, match=message):
                await loop.create_unix_connection(Recorder, **given)

    run(main)
