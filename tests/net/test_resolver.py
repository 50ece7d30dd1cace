"""Names go to the executor, and literals never do."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniloop
from miniloop.net.resolver import parse_literal

Run = Callable[..., Any]

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


class CountingExecutor(concurrent.futures.ThreadPoolExecutor):
    """Notes what it is asked to call."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self.calls: list[Any] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(fn)
        return super().submit(fn, *args, **kwargs)


def run_counting(main: Callable[[], Any]) -> list[Any]:
    """Run on a miniloop. Gives what went to the executor."""
    executor = CountingExecutor()

    async def counting() -> None:
        asyncio.get_running_loop().set_default_executor(executor)
        await main()

    miniloop.run(counting())
    return executor.calls


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "fe80::1", "::ffff:1.2.3.4"])
@pytest.mark.parametrize("port", [80, 0, None])
def test_a_literal_is_looked_up_without_a_thread(host: str, port: int | None) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=STREAM)
        assert found == socket.getaddrinfo(host, port, type=STREAM)

    assert run_counting(main) == []


@pytest.mark.parametrize(("host", "port"), [("localhost", 80), ("127.0.0.1", "http"), (None, 80)])
def test_a_name_is_looked_up_in_a_thread(host: Any, port: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        try:
            expected = socket.getaddrinfo(host, port, type=STREAM)
        except socket.gaierror:  # no list of services here
            with pytest.raises(socket.gaierror):
                await loop.getaddrinfo(host, port, type=STREAM)
        else:
            assert await loop.getaddrinfo(host, port, type=STREAM) == expected

    assert len(run_counting(main)) == 1


def test_connecting_and_serving_by_literal_start_no_thread() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
        transport.close()
        server.close()
        await asyncio.sleep(0.001)
        await server.wait_closed()

    assert run_counting(main) == []


def test_a_name_that_is_none_raises_what_the_library_says(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("127.0.0.1", 80, family=socket.AF_INET6)
        with pytest.raises(UnicodeError, match="idna"):
            await loop.getaddrinfo("name..with..empty..labels.invalid", 80)

    run(main)


def test_an_address_is_turned_into_a_name(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert await loop.getnameinfo(("127.0.0.1", 80), flags) == ("127.0.0.1", "80")

    run(main)


def test_a_wrong_kind_of_host_is_refused_as_by_the_library(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for wrong in (42, 1.5, object()):
            with pytest.raises(TypeError):
                await loop.getaddrinfo(wrong, 80)  # type: ignore[arg-type]

    run(main)


# Literals.

V4, V6 = socket.AF_INET, socket.AF_INET6
UNSPEC = socket.AF_UNSPEC


@given(st.ip_addresses(v=4), st.integers(0, 65535), st.sampled_from([STREAM, DATAGRAM]))
def test_every_ipv4_literal_is_taken_apart_as_by_the_library(
    address: Any, port: int, kind: int
) -> None:
    info = parse_literal(str(address), port, UNSPEC, kind, 0)
    assert info is not None
    assert [info] == socket.getaddrinfo(str(address), port, type=kind)


@given(st.ip_addresses(v=6), st.integers(0, 65535), st.sampled_from([STREAM, DATAGRAM]))
def test_every_ipv6_literal_is_taken_apart_as_by_the_library(
    address: Any, port: int, kind: int
) -> None:
    info = parse_literal(str(address), port, UNSPEC, kind, 0)
    assert info is not None
    (expected,) = socket.getaddrinfo(str(address), port, type=kind)
    assert info[:4] == expected[:4]
    assert info[4][1:] == expected[4][1:]
    # Either may write the address in its own way; they must mean the same.
    host: Any = info[4][0]
    assert socket.inet_pton(V6, host) == socket.inet_pton(V6, str(expected[4][0]))


@pytest.mark.parametrize(
    ("host", "port", "family", "kind", "proto"),
    [
        ("localhost", 80, UNSPEC, STREAM, 0),
        ("127.1", 80, UNSPEC, STREAM, 0),  # the C library knows this form, inet_pton does not
        ("127.0.0.1", "http", UNSPEC, STREAM, 0),
        ("127.0.0.1", 80, V6, STREAM, 0),
        ("::1", 80, V4, STREAM, 0),
        ("fe80::1%lo", 80, UNSPEC, STREAM, 0),
        (None, 80, UNSPEC, STREAM, 0),
        ("", 80, UNSPEC, STREAM, 0),
        ("127.0.0.1", 80, UNSPEC, STREAM, socket.IPPROTO_SCTP),
        ("127.0.0.1", 80, UNSPEC, socket.SOCK_RAW, 0),
        ("127.0.0.1", 80, UNSPEC, 0, 0),
        ("127.0.0.1", 80, socket.AF_UNIX, STREAM, 0),
        (b"\xff", 80, UNSPEC, STREAM, 0),
        (127001, 80, UNSPEC, STREAM, 0),
        ("127.0.0.1\0", 80, UNSPEC, STREAM, 0),
    ],
)
def test_what_is_no_literal_is_left_to_the_resolver(
    host: Any, port: Any, family: int, kind: int, proto: int
) -> None:
    assert parse_literal(host, port, family, kind, proto) is None


@pytest.mark.parametrize(
    ("port", "number"), [(80, 80), ("80", 80), (b"80", 80), (None, 0), ("", 0), (b"", 0)]
)
def test_a_port_may_be_given_in_several_ways(port: Any, number: int) -> None:
    info = parse_literal("127.0.0.1", port, UNSPEC, STREAM, 0)
    assert info is not None
    assert info[4] == ("127.0.0.1", number)


def test_flow_and_scope_of_an_ipv6_address_are_kept() -> None:
    info = parse_literal("fe80::1", 80, UNSPEC, STREAM, 0, 7, 2)
    assert info is not None
    assert info[4] == ("fe80::1", 80, 7, 2)


def test_a_host_in_bytes_is_a_literal_too() -> None:
    info = parse_literal(b"127.0.0.1", 80, UNSPEC, STREAM, 0)
    assert info is not None
    assert info[4] == ("127.0.0.1", 80)
